//! A chain behind an Ethereum JSON-RPC node, by ethers. No other file of the project imports it but
//! those in the folder of this one.

mod abi;
mod contract;
mod errors;
mod keys;
pub mod keystore;
mod logs;
mod own;
mod pushed;
mod reader;
mod transport;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use domain::ids::BatchId;
use ethers::abi::AbiDecode;
use ethers::providers::{JsonRpcClient, Middleware, Provider, ProviderError};
use ethers::signers::LocalWallet;
use ethers::types::transaction::eip1559::Eip1559TransactionRequest;
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{Address as EthAddress, BlockId, BlockNumber, Bytes, H256, NameOrAddress, U64, U256};
use ethers::utils::{get_contract_address, rlp};
use futures_util::{StreamExt, TryStreamExt, stream};
use url::Url;

use super::{
    Address, BatchState, BlockRef, Call, Chain, ChainError, CodeMatch, Fees, Movement, Position, SignedTx,
    TokenScale, TxHash, TxStatus, UnsignedTx,
};
use abi::Contracts;
use transport::Transport;

pub use keys::{CustodialAccounts, KeyError, SignerKey};
pub use reader::Reader;

/// How many questions are put to the node at once.
const PARALLEL: usize = 16;
/// Offered to proposers where the node names nothing, in wei a unit of gas.
const FALLBACK_PRIORITY_FEE_WEI: u128 = 1_000_000_000;

/// How a node is reached.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// The nodes' HTTP addresses: the first, and those that stand in for it when it fails.
    pub rpc_urls: Vec<Url>,
    /// The EIP-155 chain id it must serve.
    pub chain_id: u64,
    /// The longest a request may take.
    pub request_timeout: Duration,
    /// The least that is offered a unit of gas, in wei: a chain that starts over from its first block
    /// must still take what was signed for a later, cheaper one.
    pub lowest_max_fee_wei: u128,
    /// How fine the currency token is.
    pub scale: TokenScale,
}

/// A chain behind a node, with one signing key.
pub struct EvmChain {
    provider: Provider<Transport>,
    wallet: LocalWallet,
    sender: Address,
    contracts: Contracts,
    settings: NodeSettings,
    node: String,
}

impl EvmChain {
    /// Sets the adapter up; nothing is sent until [`Chain::check`].
    ///
    /// # Errors
    /// [`ChainError::Setup`] if TLS or the contracts' artifacts cannot be set up.
    pub fn new(settings: NodeSettings, key: &SignerKey) -> Result<Self, ChainError> {
        let urls = settings.rpc_urls.clone();
        let node = urls.iter().map(host_and_port).collect::<Vec<_>>().join(", ");
        let transport = Transport::new(urls, Some(settings.chain_id), settings.request_timeout)?;
        Ok(Self {
            provider: Provider::new(transport),
            wallet: key.wallet(settings.chain_id),
            sender: key.address(),
            contracts: Contracts::load(settings.scale)?,
            node,
            settings,
        })
    }

    /// Gives the sender the chain's own currency for its fees, on a development chain.
    ///
    /// # Errors
    /// [`ChainError`] if the node is no development chain or does not answer.
    pub async fn fund_on_development_chain(&self, balance_wei: u128) -> Result<(), ChainError> {
        let params = (EthAddress::from(self.sender.0), U256::from(balance_wei));
        let answer: Result<serde_json::Value, _> =
            self.provider.as_ref().request("anvil_setBalance", params).await;
        answer.map(drop).map_err(|error| {
            ChainError::Setup(format!(
                "{} does not fund accounts, so it is no development chain: {error}",
                self.node
            ))
        })
    }

    fn unavailable(&self, error: impl std::fmt::Display) -> ChainError {
        errors::unavailable(&self.node, error)
    }

    fn typed(&self, call: &Call) -> Result<Eip1559TransactionRequest, ChainError> {
        let (to, data) = self.contracts.encode(call)?;
        let tx = Eip1559TransactionRequest::new()
            .from(EthAddress::from(self.sender.0))
            .data(data)
            .value(0)
            .chain_id(self.settings.chain_id);
        Ok(match to {
            Some(NameOrAddress::Address(to)) => tx.to(to),
            _ => tx,
        })
    }

    fn sign_typed(&self, tx: Eip1559TransactionRequest) -> Result<SignedTx, ChainError> {
        let (nonce, fee) = (tx.nonce.unwrap_or_default(), tx.max_fee_per_gas.unwrap_or_default());
        let typed = TypedTransaction::Eip1559(tx);
        let signature = self
            .wallet
            .sign_transaction_sync(&typed)
            .map_err(|error| ChainError::Setup(format!("cannot sign a transaction: {error}")))?;
        Ok(SignedTx {
            hash: TxHash(typed.hash(&signature).0),
            raw: typed.rlp_signed(&signature).to_vec(),
            nonce: as_u64(nonce).map_err(|e| self.unavailable(e))?,
            max_fee_per_gas_wei: as_u128(fee).map_err(|e| self.unavailable(e))?,
        })
    }

    async fn view(&self, to: &Address, data: Bytes, block: BlockId) -> Result<Bytes, ChainError> {
        let tx = Eip1559TransactionRequest::new().to(EthAddress::from(to.0)).data(data);
        let answer = self.provider.call(&TypedTransaction::Eip1559(tx), Some(block)).await;
        answer.map_err(|error| errors::of_call(&self.contracts, &self.node, &error))
    }

    async fn balance(&self, credit: Address, account: Address, block: BlockId) -> Result<u128, ChainError> {
        let answer = self.view(&credit, self.contracts.balance_of(&account)?, block).await?;
        let balance = U256::decode(answer).map_err(|e| self.unavailable(e))?;
        as_u128(balance).map_err(|e| self.unavailable(e))
    }

    async fn head_number(&self) -> Result<u64, ChainError> {
        self.provider.get_block_number().await.map(|number| number.as_u64()).map_err(|e| self.unavailable(e))
    }
}

#[async_trait]
impl Chain for EvmChain {
    fn chain_id(&self) -> u64 {
        self.settings.chain_id
    }

    fn scale(&self) -> TokenScale {
        self.settings.scale
    }

    fn sender(&self) -> Address {
        self.sender
    }

    async fn check(&self) -> Result<(), ChainError> {
        let actual = self.provider.get_chainid().await.map_err(|e| self.unavailable(e))?;
        let (actual, expected) = (as_u64(actual).unwrap_or(u64::MAX), self.settings.chain_id);
        if actual == expected { Ok(()) } else { Err(ChainError::WrongChain { expected, actual }) }
    }

    async fn head(&self) -> Result<BlockRef, ChainError> {
        let block = self.provider.get_block(BlockNumber::Latest).await.map_err(|e| self.unavailable(e))?;
        let known = block.and_then(|block| Some((block.number?, block.hash?)));
        let (number, hash) = known.ok_or_else(|| self.unavailable("it has no latest block"))?;
        Ok(BlockRef { number: number.as_u64(), hash: hash.0 })
    }

    async fn mined_nonce(&self, confirmations: u64) -> Result<u64, ChainError> {
        let block = self.deep_block(confirmations).await?;
        let sender = EthAddress::from(self.sender.0);
        let nonce = self.provider.get_transaction_count(sender, Some(BlockId::Number(block))).await;
        as_u64(nonce.map_err(|e| self.unavailable(e))?).map_err(|e| self.unavailable(e))
    }

    async fn base_fee_wei(&self) -> Result<u128, ChainError> {
        let block = self.provider.get_block(BlockNumber::Latest).await.map_err(|e| self.unavailable(e))?;
        let base = block.and_then(|block| block.base_fee_per_gas);
        let base = base.ok_or_else(|| self.unavailable("its blocks have no base fee (EIP-1559)"))?;
        as_u128(base).map_err(|e| self.unavailable(e))
    }

    async fn block_gas_limit(&self) -> Result<u64, ChainError> {
        let block = self.provider.get_block(BlockNumber::Latest).await.map_err(|e| self.unavailable(e))?;
        let block = block.ok_or_else(|| self.unavailable("it has no latest block"))?;
        as_u64(block.gas_limit).map_err(|e| self.unavailable(e))
    }

    async fn fees(&self) -> Result<Fees, ChainError> {
        let base = self.base_fee_wei().await?;
        let tip: Result<U256, ProviderError> = self.provider.request("eth_maxPriorityFeePerGas", ()).await;
        let tip = tip.ok().and_then(|tip| as_u128(tip).ok()).unwrap_or(FALLBACK_PRIORITY_FEE_WEI);
        // Twice the base fee lasts for six full blocks.
        let max_fee_per_gas_wei =
            base.saturating_mul(2).saturating_add(tip).max(self.settings.lowest_max_fee_wei);
        Ok(Fees { max_fee_per_gas_wei, priority_fee_per_gas_wei: tip })
    }

    async fn estimate_gas(&self, call: &Call) -> Result<u64, ChainError> {
        let tx = TypedTransaction::Eip1559(self.typed(call)?);
        let estimate = self.provider.estimate_gas(&tx, None).await;
        let estimate = estimate.map_err(|error| errors::of_call(&self.contracts, &self.node, &error))?;
        as_u64(estimate).map_err(|e| self.unavailable(e))
    }

    fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, ChainError> {
        let typed = self
            .typed(&tx.call)?
            .nonce(tx.nonce)
            .gas(tx.gas_limit)
            .max_fee_per_gas(tx.fees.max_fee_per_gas_wei)
            .max_priority_fee_per_gas(tx.fees.priority_fee_per_gas_wei);
        self.sign_typed(typed)
    }

    fn sign_replacement(&self, raw: &[u8], fees: Fees) -> Result<SignedTx, ChainError> {
        let decoded = TypedTransaction::decode_signed(&rlp::Rlp::new(raw));
        let Ok((TypedTransaction::Eip1559(tx), _)) = decoded else {
            return Err(ChainError::Setup("stored bytes are no transaction of this platform".into()));
        };
        let field = |value: Option<U256>| as_u128(value.unwrap_or_default()).unwrap_or(u128::MAX);
        let before = Fees {
            max_fee_per_gas_wei: field(tx.max_fee_per_gas),
            priority_fee_per_gas_wei: field(tx.max_priority_fee_per_gas),
        };
        let fees = fees.max(before.bumped());
        self.sign_typed(
            tx.max_fee_per_gas(fees.max_fee_per_gas_wei)
                .max_priority_fee_per_gas(fees.priority_fee_per_gas_wei),
        )
    }

    fn contract_address(&self, nonce: u64) -> Address {
        Address(get_contract_address(EthAddress::from(self.sender.0), nonce).0)
    }

    async fn broadcast(&self, raw: &[u8]) -> Result<(), ChainError> {
        match self.provider.send_raw_transaction(Bytes::from(raw.to_vec())).await {
            Ok(_) => Ok(()),
            Err(error) => errors::of_broadcast(&self.node, self.sender, &error).map_or(Ok(()), Err),
        }
    }

    async fn status(&self, hash: &TxHash) -> Result<TxStatus, ChainError> {
        let hash = H256(hash.0);
        let receipt = self.provider.get_transaction_receipt(hash).await.map_err(|e| self.unavailable(e))?;
        let mined = receipt.and_then(|r| Some((r.block_number?.as_u64(), r.status?, r.gas_used)));
        if let Some((block_number, status, gas_used)) = mined {
            let confirmations = (self.head_number().await? + 1).saturating_sub(block_number);
            let gas_used = as_u64(gas_used.unwrap_or_default()).map_err(|e| self.unavailable(e))?;
            let succeeded = status == U64::one();
            return Ok(TxStatus::Mined { block_number, confirmations, succeeded, gas_used });
        }
        let known = self.provider.get_transaction(hash).await.map_err(|e| self.unavailable(e))?;
        Ok(if known.is_some() { TxStatus::Pending } else { TxStatus::Unknown })
    }

    async fn own_transaction(&self, hash: &TxHash) -> Result<Option<SignedTx>, ChainError> {
        self.read_own_transaction(hash).await
    }

    async fn has_code(&self, address: &Address) -> Result<bool, ChainError> {
        let code = self.provider.get_code(EthAddress::from(address.0), None).await;
        code.map(|code| !code.is_empty()).map_err(|e| self.unavailable(e))
    }

    async fn settled_root(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Option<[u8; 32]>, ChainError> {
        let data = self.contracts.settled_root(&batch_id.0)?;
        let answer = self.view(credit, data, BlockId::Number(BlockNumber::Latest)).await?;
        let root = <[u8; 32]>::decode(answer).map_err(|e| self.unavailable(e))?;
        Ok((root != [0; 32]).then_some(root))
    }

    async fn batch_state(
        &self,
        credit: &Address,
        batch_id: &BatchId,
        confirmations: u64,
    ) -> Result<BatchState, ChainError> {
        self.read_batch_state(credit, batch_id, confirmations).await
    }

    async fn pushed_chunks(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Vec<Vec<Position>>, ChainError> {
        self.read_pushed_chunks(credit, batch_id).await
    }

    async fn credit_code(&self, address: &Address) -> Result<CodeMatch, ChainError> {
        self.read_credit_code(address).await
    }

    async fn decimals(&self, token: &Address) -> Result<u8, ChainError> {
        let latest = BlockId::Number(BlockNumber::Latest);
        let answer = self.view(token, self.contracts.decimals()?, latest).await?;
        u8::decode(answer)
            .map_err(|_| ChainError::Setup(format!("{token} is no token: it names no decimals")))
    }

    async fn currency_of(&self, credit: &Address) -> Result<Address, ChainError> {
        let latest = BlockId::Number(BlockNumber::Latest);
        let answer = self.view(credit, self.contracts.currency()?, latest).await?;
        let currency = EthAddress::decode(answer);
        currency
            .map(|currency| Address(currency.0))
            .map_err(|_| ChainError::Setup(format!("{credit} is no credit contract: it names no currency")))
    }

    async fn withdrawal_delay_s(&self, credit: &Address) -> Result<u64, ChainError> {
        self.read_withdrawal_delay_s(credit).await
    }

    async fn block_hash(&self, number: u64) -> Result<Option<[u8; 32]>, ChainError> {
        let block = self.provider.get_block(number).await.map_err(|e| self.unavailable(e))?;
        Ok(block.and_then(|block| block.hash).map(|hash| hash.0))
    }

    async fn movements(&self, credit: &Address, from: u64, to: u64) -> Result<Vec<Movement>, ChainError> {
        let mut found = Vec::new();
        for filter in logs::filters(credit, from, to) {
            let logs = self.provider.get_logs(&filter).await.map_err(|e| self.unavailable(e))?;
            for log in logs {
                found.extend(logs::movement(&log).map_err(|e| self.unavailable(e))?);
            }
        }
        found.sort_unstable_by_key(|movement| (movement.block_number, movement.log_index));
        Ok(found)
    }

    async fn deep_balances(
        &self,
        credit: &Address,
        accounts: &[Address],
        confirmations: u64,
    ) -> Result<Vec<u128>, ChainError> {
        let block = BlockId::Number(self.deep_number(confirmations).await?.into());
        let questions = accounts.iter().copied().map(|account| self.balance(*credit, account, block));
        stream::iter(questions).buffered(PARALLEL).try_collect().await
    }
}

/// A node as it is named in messages: without the path and the credentials, which may be secret.
fn host_and_port(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

#[derive(Debug, thiserror::Error)]
#[error("it names the number {0}, which is out of range")]
struct TooLarge(U256);

fn as_u64(value: U256) -> Result<u64, TooLarge> {
    value.try_into().map_err(|_| TooLarge(value))
}

fn as_u128(value: U256) -> Result<u128, TooLarge> {
    value.try_into().map_err(|_| TooLarge(value))
}
