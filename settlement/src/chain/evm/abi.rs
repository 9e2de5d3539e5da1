//! The contracts' committed artifacts, and the calldata of each call.

use ethers::abi::{Abi, Token};
use ethers::types::{Address as EthAddress, Bytes, NameOrAddress, U256};
use serde::Deserialize;

use crate::chain::{Address, Call, ChainError, Position, TokenScale};

const CREDIT: &str = include_str!("../../../contracts/artifacts/EnergyCredit.json");
const CURRENCY: &str = include_str!("../../../contracts/artifacts/DemoEuro.json");
const AUTHORITY: &str = include_str!("../../../contracts/artifacts/AccessManager.json");

#[derive(Debug, Deserialize)]
struct Artifact {
    abi: Abi,
    bytecode: Bytes,
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
            Call::AllowFunction { authority, credit, function, role } => {
                let selector = Token::FixedBytes(self.credit.selector(function)?.to_vec());
                let arguments = [address(credit), Token::Array(vec![selector]), number(*role)];
                (Some(authority), self.authority.call("setTargetFunctionRole", &arguments)?)
            }
            Call::GrantRole { authority, role, holder } => {
                let arguments = [number(*role), address(holder), number(0)];
                (Some(authority), self.authority.call("grantRole", &arguments)?)
            }
            Call::RenounceRole { authority, role, holder } => {
                (Some(authority), self.authority.call("renounceRole", &[number(*role), address(holder)])?)
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
            Call::Settle { credit, batch_id, slot_from_s, slot_to_s, statement_root, positions } => {
                let word = |p| Ok(Token::FixedBytes(packed(self.scale, p)?.to_vec()));
                let words = positions.iter().map(word).collect::<Result<_, ChainError>>()?;
                let arguments = [
                    Token::FixedBytes(batch_id.0.to_vec()),
                    number(*slot_from_s),
                    number(*slot_to_s),
                    Token::FixedBytes(statement_root.to_vec()),
                    Token::Array(words),
                ];
                (Some(credit), self.credit.call("settle", &arguments)?)
            }
        };
        Ok((to.map(|to| NameOrAddress::Address(EthAddress::from(to.0))), data))
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

    /// The calldata of `balanceOf`.
    pub(super) fn balance_of(&self, account: &Address) -> Result<Bytes, ChainError> {
        self.credit.call("balanceOf", &[address(account)])
    }

    /// The name of the custom error that a contract reverted with, if it is one of ours.
    pub(super) fn error_name(&self, data: &Bytes) -> Option<String> {
        let selector = data.get(..4)?;
        [&self.credit, &self.currency, &self.authority]
            .into_iter()
            .flat_map(|artifact| artifact.abi.errors())
            .find(|error| &error.signature()[..4] == selector)
            .map(|error| error.name.clone())
    }
}

impl Artifact {
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
    fn roles_are_set_for_the_functions_that_the_contract_has() {
        let contracts = Contracts::load(TokenScale::ETHER).unwrap();
        assert_eq!(hex::encode(contracts.credit.selector("settle").unwrap()), "da5cc4be");
        assert_eq!(hex::encode(contracts.credit.selector("pause").unwrap()), "8456cb59");
        assert!(contracts.credit.selector("nothing").is_err());
    }
}
