//! `settlement verify`: checks a receipt with nothing but its file and a node.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use service::cli::{EXIT_USAGE, one_line};
use settlement::chain::ChainError;
use settlement::chain::evm::Reader;
use settlement::verify::{VerifyError, verify};

/// Status 0: the chain keeps what the receipt says; 1: it does not, with the reason; 2: it could not
/// be checked.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The receipt, as the API serves it.
    #[arg(long)]
    receipt: PathBuf,
    /// A node of the receipt's chain that you trust, such as one of your own.
    #[arg(long)]
    rpc: url::Url,
    /// The community's credit contract, known from elsewhere than the receipt: a receipt for another one is refused.
    #[arg(long)]
    contract: Option<settlement::chain::Address>,
    /// Write the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

const TIMEOUT: Duration = Duration::from_secs(20);
/// A receipt has some 3 KiB.
const MAX_RECEIPT_BYTES: u64 = 1024 * 1024;

/// Checks, and says what came of it.
pub(crate) fn run(args: &VerifyArgs) -> ExitCode {
    let result = read(&args.receipt).and_then(|text| {
        let node = Reader::new(args.rpc.clone(), TIMEOUT)?;
        crate::block_on(async { Ok(verify(&text, args.contract.as_ref(), &node).await) })
    });
    let (status, report) = match result {
        Ok(Ok((receipt, checked))) => (
            0,
            json!({
                "valid": true, "reason": null, "community_id": receipt.community_id,
                "slot_start": receipt.slot_start, "revision": receipt.revision,
                "account_id": receipt.account_id, "net_nano": receipt.statement.net_nano,
                "batch_id": receipt.batch_id, "contract": receipt.contract,
                "root": receipt::document::hex32(&checked.root),
            }),
        ),
        Ok(Err(VerifyError::Invalid(reason))) => (1, json!({"valid": false, "reason": reason.to_string()})),
        Ok(Err(VerifyError::Chain(ChainError::Unavailable { node, reason }))) => {
            let reason = format!("the node at {node} does not answer as one does: {reason}; check --rpc");
            (EXIT_USAGE, json!({"valid": null, "reason": reason}))
        }
        Ok(Err(error @ VerifyError::Chain(_))) => {
            (EXIT_USAGE, json!({"valid": null, "reason": one_line(&error)}))
        }
        Err(error) => (EXIT_USAGE, json!({"valid": null, "reason": one_line(error.as_ref())})),
    };
    let text = if args.json { report.to_string() } else { words(&report, args.contract.is_some()) };
    let printed = crate::print(&format!("{text}\n"));
    if printed.is_ok() { ExitCode::from(status) } else { ExitCode::from(EXIT_USAGE) }
}

/// `is_known`: whether the contract was compared with one that is known from elsewhere.
fn words(report: &serde_json::Value, is_known: bool) -> String {
    let text = |name: &str| report[name].as_str().unwrap_or_default();
    match report["valid"].as_bool() {
        Some(true) => format!(
            "valid: {} of {}, slot {}, net {} nano-currency; contract {} keeps its root {}{}",
            text("account_id"),
            text("community_id"),
            text("slot_start"),
            text("net_nano"),
            text("contract"),
            text("root"),
            if is_known {
                ""
            } else {
                "\nmake sure that this contract is your community's, or name that with --contract"
            }
        ),
        Some(false) => format!("not valid: {}", text("reason")),
        None => format!("not checked: {}", text("reason")),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the receipt {}", path.display());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).with_context(cannot)?;
    file.take(MAX_RECEIPT_BYTES + 1).read_to_end(&mut text).with_context(cannot)?;
    anyhow::ensure!(text.len() as u64 <= MAX_RECEIPT_BYTES, "{} is too large for a receipt", path.display());
    // Bytes that are no text become a receipt that is not valid, rather than one that cannot be read.
    Ok(String::from_utf8_lossy(&text).into_owned())
}
