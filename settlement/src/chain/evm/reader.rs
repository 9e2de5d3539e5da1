//! A look at a contract without any key: what whoever checks a receipt needs.

use std::time::Duration;

use ethers::abi::AbiDecode;
use ethers::providers::{Middleware, Provider};
use ethers::types::transaction::eip1559::Eip1559TransactionRequest;
use ethers::types::transaction::eip2718::TypedTransaction;
use ethers::types::{Address as EthAddress, Bytes};
use url::Url;

use super::abi::Contracts;
use super::transport::Transport;
use super::{as_u64, errors};
use crate::chain::{Address, ChainError, TokenScale};

/// A node that is only asked.
pub struct Reader {
    provider: Provider<Transport>,
    contracts: Contracts,
    node: String,
}

impl Reader {
    /// Sets the connection up; nothing is sent.
    ///
    /// # Errors
    /// [`ChainError::Setup`] if TLS or the contracts' artifacts cannot be set up.
    pub fn new(rpc_url: Url, request_timeout: Duration) -> Result<Self, ChainError> {
        let node = super::host_and_port(&rpc_url);
        let provider = Provider::new(Transport::new(vec![rpc_url], None, request_timeout)?);
        Ok(Self { provider, contracts: Contracts::load(TokenScale::ETHER)?, node })
    }

    /// The EIP-155 chain id that the node serves.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`] if the node does not answer.
    pub async fn chain_id(&self) -> Result<u64, ChainError> {
        let id = self.provider.get_chainid().await.map_err(|e| errors::unavailable(&self.node, e))?;
        as_u64(id).map_err(|e| errors::unavailable(&self.node, e))
    }

    /// Whether there is a contract at an address.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`] if the node does not answer.
    pub async fn has_code(&self, address: &Address) -> Result<bool, ChainError> {
        let code = self.provider.get_code(EthAddress::from(address.0), None).await;
        code.map(|code| !code.is_empty()).map_err(|e| errors::unavailable(&self.node, e))
    }

    /// The root that the contract keeps for a batch; `None` if it has not settled it, or is no credit
    /// contract.
    ///
    /// # Errors
    /// [`ChainError`] if the node does not answer, or the contract refuses the question.
    pub async fn settled_root(
        &self,
        credit: &Address,
        batch_id: &[u8; 32],
    ) -> Result<Option<[u8; 32]>, ChainError> {
        let answer = self.ask(credit, self.contracts.settled_root(batch_id)?).await?;
        Ok(<[u8; 32]>::decode(answer).ok().filter(|root| *root != [0; 32]))
    }

    /// What the contract itself says of a leaf and its proof.
    ///
    /// # Errors
    /// [`ChainError`] if the node does not answer, or the contract refuses the question.
    pub async fn verify_receipt(
        &self,
        credit: &Address,
        batch_id: &[u8; 32],
        leaf: &[u8; 32],
        proof: &[[u8; 32]],
    ) -> Result<bool, ChainError> {
        let answer = self.ask(credit, self.contracts.verify_receipt(batch_id, leaf, proof)?).await?;
        Ok(bool::decode(answer).unwrap_or(false))
    }

    async fn ask(&self, to: &Address, data: Bytes) -> Result<Bytes, ChainError> {
        let tx = Eip1559TransactionRequest::new().to(EthAddress::from(to.0)).data(data);
        let answer = self.provider.call(&TypedTransaction::Eip1559(tx), None).await;
        answer.map_err(|error| errors::of_call(&self.contracts, &self.node, &error))
    }
}
