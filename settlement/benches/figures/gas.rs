//! Gas of a batch on a development chain, beside an ERC-20 transfer a trade on the same trades.

use domain::ids::BatchId;
use domain::units::Money;
use serde_json::json;
use settlement::chain::evm::EvmChain;
use settlement::chain::{Address, Call, Chain, CreditSettings, Position, TxStatus, UnsignedTx};

use crate::common::anvil::{Anvil, funded};
use crate::figure::Figure;

/// Trades a member, as in a slot of 1,000 trades among 200 members.
const TRADES_A_MEMBER: usize = 5;
/// So many naive transfers are sent in truth; the others cost the same.
const MOST_TRANSFERS: usize = 300;
const UNIT_NANO: i64 = 1_000_000_000;
const SETTLER: u64 = 1;
/// Gas of any transaction before its calldata and what it does.
const TRANSACTION_BASE: f64 = 21_000.0;

struct Bench {
    anvil: Anvil,
    chain: std::sync::Arc<EvmChain>,
    nonce: u64,
    currency: Address,
    credit: Address,
}

/// As an address is: the last bytes of a hash, of which few are zero and cheap.
fn member(i: usize) -> Address {
    let hash = receipt::merkle::keccak256(&[b"member", &i.to_be_bytes()]);
    Address(hash[12..].try_into().unwrap())
}

fn units(amount: i64) -> Money {
    Money::from_nano(amount * UNIT_NANO)
}

impl Bench {
    /// The contracts as a community deploys them, and members that hold both tokens already.
    async fn start(members: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let anvil = Anvil::start(None, &["--gas-limit", "60000000"]);
        let chain = funded(&anvil, &folder.path().join("key")).await;
        let [currency, authority, credit] = [0, 1, 2].map(|nonce| chain.contract_address(nonce));
        let mut bench = Self { anvil, chain, nonce: 0, currency, credit };
        let sender = bench.chain.sender();
        let settings = CreditSettings {
            currency,
            authority,
            withdrawal_delay_s: 3_600,
            name: "Energy Credit".to_owned(),
            symbol: "ECR".to_owned(),
        };
        for call in [
            Call::DeployCurrency { owner: sender },
            Call::DeployAuthority { administrator: sender },
            Call::DeployCredit(settings),
            Call::AllowFunctions { authority, credit, functions: &["settle"], role: SETTLER },
            Call::GrantRole { authority, role: SETTLER, holder: sender },
            Call::Mint { currency, to: sender, amount: units(1_000_000_000) },
            Call::ApproveAll { currency, spender: credit },
        ] {
            bench.send(call).await;
        }
        for i in 0..members {
            bench.send(Call::DepositFor { credit, account: member(i), amount: units(1_000) }).await;
            bench.send(Call::Mint { currency, to: member(i), amount: units(1_000) }).await;
        }
        bench
    }

    async fn send(&mut self, call: Call) -> u64 {
        self.send_and_split(call).await.0
    }

    /// What a call uses in all, and what of that its calldata costs (4 a zero byte, 16 any other).
    async fn send_and_split(&mut self, call: Call) -> (u64, u64) {
        let fees = self.chain.fees().await.unwrap();
        let tx = UnsignedTx { nonce: self.nonce, gas_limit: 30_000_000, fees, call };
        let signed = self.chain.sign(&tx).unwrap();
        self.chain.broadcast(&signed.raw).await.unwrap();
        self.nonce += 1;
        loop {
            if let TxStatus::Mined { succeeded, gas_used, .. } =
                self.chain.status(&signed.hash).await.unwrap()
            {
                assert!(succeeded, "{:?}", tx.call);
                let sent = self.anvil.rpc("eth_getTransactionByHash", json!([signed.hash.to_string()])).await;
                let data = sent["input"].as_str().unwrap().trim_start_matches("0x").as_bytes();
                let price = |byte: &[u8]| if byte == b"00" { 4 } else { 16 };
                return (gas_used, data.chunks(2).map(price).sum());
            }
        }
    }

    /// Gas of one batch with a position for each member, and what of it is calldata's.
    async fn settle(&mut self, trades: &[(usize, usize, i64)], members: usize) -> (u64, u64) {
        let mut nets = vec![0; members];
        for (buyer, seller, nano) in trades {
            nets[*buyer] -= nano;
            nets[*seller] += nano;
        }
        let mut positions: Vec<Position> = nets
            .iter()
            .enumerate()
            .filter(|(_, net)| **net != 0)
            .map(|(i, net)| Position { account: member(i), amount: Money::from_nano(*net) })
            .collect();
        positions.sort_unstable();
        assert!(positions.len() * 10 > members * 9, "too few positions to compare");
        self.send_and_split(Call::Settle {
            credit: self.credit,
            batch_id: BatchId([members.to_be_bytes()[6] | 1; 32]),
            slot_from_s: 1,
            slot_to_s: 901,
            statement_root: [7; 32],
            positions,
        })
        .await
    }

    /// Mean gas of one transfer of the plain currency token in a transaction of its own.
    async fn transfer(&self, trades: &[(usize, usize, i64)]) -> f64 {
        let some = &trades[..trades.len().min(MOST_TRANSFERS)];
        let mut total = 0;
        for (buyer, seller, nano) in some {
            let (from, to) = (member(*buyer).to_string(), hex::encode(member(*seller).0));
            self.anvil.rpc("anvil_impersonateAccount", json!([from])).await;
            self.anvil.rpc("anvil_setBalance", json!([from, "0xde0b6b3a7640000"])).await;
            let base_units = i128::from(*nano) * 1_000_000_000;
            let data = format!("0xa9059cbb{to:0>64}{base_units:064x}");
            let tx = json!({"from": from, "to": self.currency.to_string(), "data": data});
            let hash = self.anvil.rpc("eth_sendTransaction", json!([tx])).await;
            let receipt = self.anvil.receipt(&hash).await;
            assert_eq!(receipt["status"], "0x1", "{receipt}");
            let gas = receipt["gasUsed"].as_str().unwrap();
            total += u64::from_str_radix(gas.trim_start_matches("0x"), 16).unwrap();
        }
        total as f64 / some.len() as f64
    }
}

/// Trades between members that differ, in a fixed disorder.
fn trades(members: usize) -> Vec<(usize, usize, i64)> {
    (0..members * TRADES_A_MEMBER)
        .map(|i| {
            let (buyer, step) = (i * 7 % members, 1 + i * 13 % (members - 1));
            (buyer, (buyer + step) % members, 10_000_019 + 7_919 * i64::try_from(i % 1_000).unwrap())
        })
        .collect()
}

pub(crate) async fn run() {
    for members in [10, 100, 200, 1_000] {
        let trades = trades(members);
        let mut bench = Bench::start(members).await;
        let (gas, calldata) = bench.settle(&trades, members).await;
        // The rest is the base price of the transaction and what the contract does.
        let (gas, calldata) = (gas as f64, calldata as f64);
        let naive = bench.transfer(&trades).await;
        let (a_position, a_trade) = (gas / members as f64, gas / trades.len() as f64);
        let name = format!("settlement/gas_a_netted_position_{members}");
        Figure::new(name, a_position, "gas").at_most(9_000.0).print();
        for (part, gas) in [("calldata", calldata), ("execution", gas - calldata - TRANSACTION_BASE)] {
            let name = format!("settlement/gas_a_netted_position_{members}_{part}");
            Figure::new(name, gas / members as f64, "gas").print();
        }
        let name = format!("settlement/gas_a_trade_{}_trades_{members}_members", trades.len());
        Figure::new(name, a_trade, "gas").beside("an ERC-20 transfer a trade", naive / a_trade).print();
    }
}
