//! The contracts' committed artifacts, and the calldata of each call.

use ethers::abi::{Abi, Param, Token};
use ethers::types::{Address as EthAddress, Bytes, NameOrAddress, U256};
use serde::Deserialize;

use domain::ids::BatchId;
use receipt::merkle::keccak256;

use super::words;
use crate::chain::{Address, Call, ChainError, ChunkCall, CodeMatch, Position, TokenScale};

const CREDIT: &str = include_str!("../../../contracts/artifacts/EnergyCredit.json");
const CURRENCY: &str = include_str!("../../../contracts/artifacts/DemoEuro.json");
const AUTHORITY: &str = include_str!("../../../contracts/artifacts/AccessManager.json");

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    abi: Abi,
    bytecode: Bytes,
    deployed_bytecode: Bytes,
    immutables: Vec<Immutable>,
}

/// Where a value that the constructor was given stands in the deployed code.
#[derive(Debug, Deserialize)]
struct Immutable {
    start: usize,
    length: usize,
}

/// The contracts that settlement deploys and calls.
#[derive(Debug)]
pub(super) struct Contracts {
    credit: Artifact,
    currency: Artifact,
    authority: Artifact,
    scale: TokenScale,
}

impl Contracts {
    /// Reads the artifacts that are compiled in.
    ///
    /// # Errors
    /// [`ChainError::Setup`] if one is not what `scripts/artifacts.mjs` writes.
    pub(super) fn load(scale: TokenScale) -> Result<Self, ChainError> {
        let read = |name: &str, text| {
            serde_json::from_str(text)
                .map_err(|error| ChainError::Setup(format!("the artifact of {name} cannot be used: {error}")))
        };
        Ok(Self {
            credit: read("EnergyCredit", CREDIT)?,
            currency: read("DemoEuro", CURRENCY)?,
            authority: read("AccessManager", AUTHORITY)?,
            scale,
        })
    }

    /// Compares code with the credit contract's, but for what its constructor was given.
    pub(super) fn compare_credit(&self, code: &Bytes) -> CodeMatch {
        if code.is_empty() {
            return CodeMatch::None;
        }
        let masked = self.credit.masked(code);
        let (actual, expected) =
            (keccak256(&[&masked]), keccak256(&[&self.credit.masked(&self.credit.deployed_bytecode)]));
        if actual == expected { CodeMatch::Same } else { CodeMatch::Other { actual, expected } }
    }

    /// Where a call goes (`None` deploys) and its data.
    pub(super) fn encode(&self, call: &Call) -> Result<(Option<NameOrAddress>, Bytes), ChainError> {
        let (to, data) = match call {
            Call::DeployCurrency { owner } => (None, self.currency.deployment(&[address(owner)])?),
            Call::DeployAuthority { administrator } => {
                (None, self.authority.deployment(&[address(administrator)])?)
            }
            Call::DeployCredit(settings) => {
                let arguments = [
                    address(&settings.currency),
                    address(&settings.authority),
                    number(settings.withdrawal_delay_s),
                    Token::String(settings.name.clone()),
                    Token::String(settings.symbol.clone()),
                ];
                (None, self.credit.deployment(&arguments)?)
            }
            Call::LabelRole { authority, role, label } => {
                let arguments = [number(*role), Token::String((*label).to_owned())];
                (Some(authority), self.authority.call("labelRole", &arguments)?)
            }
            Call::AllowFunctions { authority, credit, functions, role } => {
                let selector = |name: &&str| Ok(Token::FixedBytes(self.credit.selector(name)?.to_vec()));
                let selectors = functions.iter().map(selector).collect::<Result<_, ChainError>>()?;
                let arguments = [address(credit), Token::Array(selectors), number(*role)];
                (Some(authority), self.authority.call("setTargetFunctionRole", &arguments)?)
            }
            Call::GrantRole { authority, role, holder } => {
                let arguments = [number(*role), address(holder), number(0)];
                (Some(authority), self.authority.call("grantRole", &arguments)?)
            }
            Call::RenounceRole { authority, role, holder } => {
                (Some(authority), self.authority.call("renounceRole", &[number(*role), address(holder)])?)
            }
            Call::HandOver { currency, owner } => {
                (Some(currency), self.currency.call("transferOwnership", &[address(owner)])?)
            }
            Call::Mint { currency, to, amount } => {
                let arguments = [address(to), base_units(self.scale, *amount)?];
                (Some(currency), self.currency.call("mint", &arguments)?)
            }
            Call::ApproveAll { currency, spender } => {
                let arguments = [address(spender), Token::Uint(U256::MAX)];
                (Some(currency), self.currency.call("approve", &arguments)?)
            }
            Call::DepositFor { credit, account, amount } => {
                let arguments = [address(account), base_units(self.scale, *amount)?];
                (Some(credit), self.credit.call("depositFor", &arguments)?)
            }
            Call::Nothing { sender } => (Some(sender), Bytes::new()),
            Call::Settle { credit, .. }
            | Call::OpenBatch { credit, .. }
            | Call::FinaliseBatch { credit, .. }
            | Call::AbandonBatch { credit, .. }
            | Call::PushChunk(ChunkCall { credit, .. })
            | Call::ReleaseChunk(ChunkCall { credit, .. }) => (Some(credit), self.encode_batch(call)?),
        };
        Ok((to.map(|to| NameOrAddress::Address(EthAddress::from(to.0))), data))
    }

    /// The data of a call that settles, in one call or in chunks.
    fn encode_batch(&self, call: &Call) -> Result<Bytes, ChainError> {
        let id = |batch_id: &BatchId| Token::FixedBytes(batch_id.0.to_vec());
        let chunk = |function: &str, chunk: &ChunkCall| {
            let index = number(u64::from(chunk.index));
            self.credit.call(function, &[id(&chunk.batch_id), index, self.words(&chunk.positions)?])
        };
        match call {
            Call::Settle { batch_id, slot_from_s, slot_to_s, statement_root, positions, .. } => {
                let (from, to) = (number(*slot_from_s), number(*slot_to_s));
                let root = Token::FixedBytes(statement_root.to_vec());
                self.credit.call("settle", &[id(batch_id), from, to, root, self.words(positions)?])
            }
            Call::OpenBatch { batch_id, slot_from_s, slot_to_s, statement_root, chunks, .. } => {
                let (from, to) = (number(*slot_from_s), number(*slot_to_s));
                let root = Token::FixedBytes(statement_root.to_vec());
                let hash = |chunk: &Vec<Position>| {
                    let words = chunk.iter().map(|p| packed(self.scale, p)).collect::<Result<Vec<_>, _>>()?;
                    Ok(Token::FixedBytes(keccak256(&[words.concat().as_slice()]).to_vec()))
                };
                let hashes = chunks.iter().map(hash).collect::<Result<_, ChainError>>()?;
                self.credit.call("openBatch", &[id(batch_id), from, to, root, Token::Array(hashes)])
            }
            Call::PushChunk(pushed) => chunk("pushChunk", pushed),
            Call::ReleaseChunk(released) => chunk("releaseChunk", released),
            Call::FinaliseBatch { batch_id, .. } => self.credit.call("finaliseBatch", &[id(batch_id)]),
            Call::AbandonBatch { batch_id, .. } => self.credit.call("abandonBatch", &[id(batch_id)]),
            other => Err(ChainError::Setup(format!("not a call that settles: {other:?}"))),
        }
    }

    fn words(&self, positions: &[Position]) -> Result<Token, ChainError> {
        let word = |p| Ok(Token::FixedBytes(packed(self.scale, p)?.to_vec()));
        positions.iter().map(word).collect::<Result<_, ChainError>>().map(Token::Array)
    }

    /// The positions in a call of `pushChunk`; `None` if it is none, or holds an amount that is no money.
    pub(super) fn pushed_positions(&self, calldata: &Bytes) -> Option<Vec<Position>> {
        let push = self.credit.abi.function("pushChunk").ok()?;
        let arguments = calldata.strip_prefix(&push.short_signature())?;
        let words = push.decode_input(arguments).ok()?.pop()?.into_array()?;
        let position = |word: Token| unpacked(self.scale, &word.into_fixed_bytes()?);
        words.into_iter().map(position).collect()
    }

    /// The calldata of `batchInProgress`.
    pub(super) fn batch_in_progress(&self) -> Result<Bytes, ChainError> {
        self.credit.call("batchInProgress", &[])
    }

    /// The calldata of `settledRoot`.
    pub(super) fn settled_root(&self, batch_id: &[u8; 32]) -> Result<Bytes, ChainError> {
        self.credit.call("settledRoot", &[Token::FixedBytes(batch_id.to_vec())])
    }

    /// The calldata of `verifyReceipt`.
    pub(super) fn verify_receipt(
        &self,
        batch_id: &[u8; 32],
        leaf: &[u8; 32],
        proof: &[[u8; 32]],
    ) -> Result<Bytes, ChainError> {
        let proof = proof.iter().map(|sibling| Token::FixedBytes(sibling.to_vec())).collect();
        let arguments =
            [Token::FixedBytes(batch_id.to_vec()), Token::FixedBytes(leaf.to_vec()), Token::Array(proof)];
        self.credit.call("verifyReceipt", &arguments)
    }

    /// The calldata of `decimals`, the same for every token.
    pub(super) fn decimals(&self) -> Result<Bytes, ChainError> {
        self.credit.call("decimals", &[])
    }

    /// The calldata of `CURRENCY`.
    pub(super) fn currency(&self) -> Result<Bytes, ChainError> {
        self.credit.call("CURRENCY", &[])
    }

    /// The calldata of `WITHDRAWAL_DELAY`.
    pub(super) fn withdrawal_delay(&self) -> Result<Bytes, ChainError> {
        self.credit.call("WITHDRAWAL_DELAY", &[])
    }

    /// The calldata of `balanceOf`.
    pub(super) fn balance_of(&self, account: &Address) -> Result<Bytes, ChainError> {
        self.credit.call("balanceOf", &[address(account)])
    }

    /// The custom error that a contract reverted with, if it is one of ours or of OpenZeppelin's in them: its
    /// name with its arguments, and what it means.
    pub(super) fn error_in_words(&self, data: &Bytes) -> Option<String> {
        let (selector, arguments) = (data.get(..4)?, data.get(4..)?);
        let error = [&self.credit, &self.currency, &self.authority]
            .into_iter()
            .flat_map(|artifact| artifact.abi.errors())
            .find(|error| &error.signature()[..4] == selector)?;
        let values = error.decode(arguments).unwrap_or_default();
        let named = |(input, value): (&Param, &Token)| format!("{}: {}", input.name, shown(value));
        let named: Vec<String> = error.inputs.iter().zip(&values).map(named).collect();
        let call = if named.is_empty() { String::new() } else { format!("({})", named.join(", ")) };
        let meaning = words::meaning(&error.name).map_or(String::new(), |words| format!(": {words}"));
        Some(format!("{}{call}{meaning}", error.name))
    }
}

fn shown(value: &Token) -> String {
    match value {
        Token::Address(address) => Address(address.0).to_string(),
        Token::FixedBytes(bytes) | Token::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        // In decimal, as amounts, times and indexes are read; ethabi prints hexadecimal.
        Token::Uint(number) => number.to_string(),
        Token::Int(number) => ethers::types::I256::from_raw(*number).to_string(),
        other => other.to_string(),
    }
}

impl Artifact {
    /// Deployed code with zeros where the constructor's values stand.
    fn masked(&self, code: &Bytes) -> Vec<u8> {
        let mut code = code.to_vec();
        for Immutable { start, length } in &self.immutables {
            if let Some(value) = code.get_mut(*start..start + length) {
                value.fill(0);
            }
        }
        code
    }

    fn deployment(&self, arguments: &[Token]) -> Result<Bytes, ChainError> {
        let constructor = self
            .abi
            .constructor()
            .ok_or_else(|| ChainError::Setup("a contract has no constructor".into()))?;
        constructor.encode_input(self.bytecode.to_vec(), arguments).map(Bytes::from).map_err(cannot_encode)
    }

    fn call(&self, function: &str, arguments: &[Token]) -> Result<Bytes, ChainError> {
        let function = self.abi.function(function).map_err(cannot_encode)?;
        function.encode_input(arguments).map(Bytes::from).map_err(cannot_encode)
    }

    fn selector(&self, function: &str) -> Result<[u8; 4], ChainError> {
        Ok(self.abi.function(function).map_err(cannot_encode)?.short_signature())
    }
}

fn cannot_encode(error: ethers::abi::Error) -> ChainError {
    ChainError::Setup(format!("a call does not fit the contract's ABI: {error}"))
}

fn address(address: &Address) -> Token {
    Token::Address(EthAddress::from(address.0))
}

fn number(value: u64) -> Token {
    Token::Uint(U256::from(value))
}

fn base_units(scale: TokenScale, amount: domain::units::Money) -> Result<Token, ChainError> {
    let units = u128::try_from(whole(scale, amount)?)
        .map_err(|_| ChainError::Setup("an amount to mint or deposit is negative".into()))?;
    Ok(Token::Uint(U256::from(units)))
}

fn whole(scale: TokenScale, amount: domain::units::Money) -> Result<i128, ChainError> {
    scale.to_base_units(amount).map_err(|error| ChainError::Setup(error.to_string()))
}

/// A position in one word: the account to the left, the amount in 96 bits of two's complement.
fn packed(scale: TokenScale, position: &Position) -> Result<[u8; 32], ChainError> {
    let mut word = [0; 32];
    word[..20].copy_from_slice(&position.account.0);
    word[20..].copy_from_slice(&whole(scale, position.amount)?.to_be_bytes()[4..]);
    Ok(word)
}

/// A position from its word; `None` if its amount is not a whole number of nano-currency units.
fn unpacked(scale: TokenScale, word: &[u8]) -> Option<Position> {
    let (account, amount) = (word.get(..20)?.try_into().ok()?, word.get(20..32)?);
    let sign = if amount.first()? & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [sign; 16];
    wide[4..].copy_from_slice(amount);
    let base_units = i128::from_be_bytes(wide);
    let nano = scale.whole_nano(base_units.unsigned_abs()).ok()?;
    let amount = if base_units < 0 { nano.checked_neg().ok()? } else { nano };
    (scale.to_base_units(amount) == Ok(base_units)).then_some(Position { account: Address(account), amount })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::units::Money;

    #[test]
    fn positions_are_packed_as_the_contract_says() {
        let account = Address([0xab; 20]);
        let packed = |amount| packed(TokenScale::ETHER, &Position { account, amount }).unwrap();
        let debtor = packed(Money::from_nano(-1));
        assert_eq!(hex::encode(debtor), format!("{}ffffffffffffffffc4653600", "ab".repeat(20)));
        let creditor = packed(Money::from_nano(1));
        assert_eq!(hex::encode(creditor), format!("{}00000000000000003b9aca00", "ab".repeat(20)));
    }

    #[test]
    fn pushed_positions_are_read_back_from_their_call() {
        let nanos = [-1, 0, 1, 999_999_999_999, i64::MIN + 1, i64::MAX];
        for scale in [TokenScale::ETHER, TokenScale::new(9).unwrap()] {
            let contracts = Contracts::load(scale).unwrap();
            let positions: Vec<Position> = (1..)
                .zip(nanos)
                .map(|(i, nano)| Position { account: Address([i; 20]), amount: Money::from_nano(nano) })
                .collect();
            let (credit, batch_id) = (Address([9; 20]), BatchId([8; 32]));
            let chunk = ChunkCall { credit, batch_id, index: 3, positions: positions.clone() };
            let (_, data) = contracts.encode(&Call::PushChunk(chunk.clone())).unwrap();
            assert_eq!(contracts.pushed_positions(&data), Some(positions));
            let (_, other) = contracts.encode(&Call::ReleaseChunk(chunk)).unwrap();
            assert_eq!(contracts.pushed_positions(&other), None, "another call");
            assert_eq!(contracts.pushed_positions(&Bytes::from(data[..40].to_vec())), None, "cut off");
        }
        let mut below_nano = [0xab; 32];
        below_nano[20..].copy_from_slice(&1_u128.to_be_bytes()[4..]);
        assert_eq!(unpacked(TokenScale::ETHER, &below_nano), None);
    }

    #[test]
    fn roles_are_set_for_the_functions_that_the_contract_has() {
        let contracts = Contracts::load(TokenScale::ETHER).unwrap();
        assert_eq!(hex::encode(contracts.credit.selector("settle").unwrap()), "da5cc4be");
        assert_eq!(hex::encode(contracts.credit.selector("pause").unwrap()), "8456cb59");
        assert!(contracts.credit.selector("nothing").is_err());
    }
}
