use super::*;
use crate::statement::Nano;
use serde_json::{Value, json};

fn receipt() -> (Receipt, Hash) {
    let domain = Domain {
        chain_id: 31_337,
        credit: Address([0xab; 20]),
        community_id: CommunityId::new("demo").unwrap(),
    };
    let start = DateTime::from_timestamp(1_700_000_100, 0).unwrap();
    let slot = SlotRevision { start, end: start + chrono::TimeDelta::seconds(900), revision: 3 };
    let statement = |import_wh| Statement {
        import_wh,
        production_wh: Some(7),
        traded_sold_nano: Nano(1_200),
        network_fee_nano: Nano(-200),
        net_nano: Nano(1_000),
        ..Statement::default()
    };
    let account = |i: u8| (AccountId::new(&format!("m{i}")).unwrap(), Address([i + 1; 20]));
    let leaves = (0..5).map(|i| {
        let (id, address) = account(i);
        domain.leaf(&slot, &id, &address, &statement(i64::from(i)), &[i; 32])
    });
    let tree = Tree::new(leaves.collect()).unwrap();
    let (id, address) = account(2);
    let receipt = Receipt::new(&domain, &slot, (&id, &address), (statement(2), &[2; 32]), &tree).unwrap();
    (receipt, tree.root())
}

/// Each place in a document where a scalar stands.
fn scalars(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| scalars(inner, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| scalars(inner, &format!("{at}/{i}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

/// Whether a document is still good for the root.
fn accepted(text: &str, root: &Hash) -> bool {
    Receipt::parse(text).and_then(|receipt| receipt.check()).is_ok_and(|checked| checked.root == *root)
}

#[test]
fn a_receipt_survives_its_file_and_leads_to_the_root() {
    let (receipt, root) = receipt();
    let text = serde_json::to_string_pretty(&receipt).unwrap();
    assert_eq!(Receipt::parse(&text).unwrap(), receipt);
    assert!(accepted(&text, &root));
}

#[test]
fn a_change_of_any_field_is_refused() {
    let (receipt, root) = receipt();
    let whole = serde_json::to_value(&receipt).unwrap();
    let mut places = Vec::new();
    scalars(&whole, "", &mut places);
    assert_eq!(places.len(), 12 + 25 + receipt.proof.len());
    for place in places {
        let before = whole.pointer(&place).unwrap();
        let changes = match before {
            Value::Bool(on) => vec![json!(!on)],
            Value::Number(number) => vec![json!(number.as_i64().unwrap() + 1)],
            Value::Null => vec![json!(0)],
            Value::String(text) => every_byte_changed(text),
            _ => panic!("{place}"),
        };
        for after in changes {
            let mut tampered = whole.clone();
            *tampered.pointer_mut(&place).unwrap() = after.clone();
            assert!(!accepted(&tampered.to_string(), &root), "{place}: {before} -> {after}");
        }
    }
}

/// A text with each of its bytes changed in turn, in the last bit and in its case.
fn every_byte_changed(text: &str) -> Vec<Value> {
    let changed = |at: usize, flip: u8| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= flip;
        String::from_utf8(bytes).ok().map(Value::from)
    };
    (0..text.len()).flat_map(|at| [changed(at, 1), changed(at, 0x20)]).flatten().collect()
}

#[test]
fn what_the_hash_does_not_show_is_refused_all_the_same() {
    let (receipt, root) = receipt();
    let whole = serde_json::to_value(&receipt).unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = whole.clone();
        changed[name] = value;
        changed.to_string()
    };
    assert!(!accepted(&with("slot_start", json!("2023-11-14T22:15:00.5Z")), &root));
    assert!(!accepted(&with("note", json!("paid")), &root), "an unknown field");
    assert!(!accepted(&with("production_wh", json!(7)), &root), "a field in the wrong place");
    let mut longer = receipt.proof.clone();
    longer.push(longer[0].clone());
    assert!(!accepted(&with("proof", json!(longer)), &root));
    assert!(!accepted(&with("proof", json!(receipt.proof[1..])), &root));
    assert!(!accepted("{}", &root));
}

#[test]
fn money_that_does_not_add_up_is_named() {
    let (mut receipt, _) = receipt();
    receipt.statement.net_nano = Nano(1_001);
    let sum = InvalidReceipt::Sum { sum_nano: 1_000, net_nano: 1_001 };
    assert_eq!(receipt.check(), Err(sum));
}
