//! Checks servers that were given by URL, and meters that were named, before anything is made.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use meter_agent::template::Library;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::anvil;
use crate::cli::DemoArgs;
use crate::dataset::DataSet;

const PATIENCE: Duration = Duration::from_secs(5);

/// Makes sure that each given server answers and, of the chain, that it is the one that is meant; and that each real
/// meter's site and template exist.
///
/// # Errors
/// The first that does not, in a line that names its variable or option.
pub async fn check(args: &DemoArgs, data: &DataSet) -> anyhow::Result<()> {
    meters(args, data)?;
    if let Some(url) = &args.mqtt_url {
        broker(url).await?;
    }
    if let Some(url) = &args.chain_rpc_url {
        chain(url, args.chain_id).await?;
    }
    if let Some(url) = &args.database_url {
        store::connect(url, None, 1, "busbar-check").await.context("DATABASE_URL")?.close().await;
    }
    Ok(())
}

fn meters(args: &DemoArgs, data: &DataSet) -> anyhow::Result<()> {
    let library = Library::embedded()?;
    for meter in &args.meters {
        let known = data.sites.iter().any(|site| site.id == meter.site_id);
        if let (false, Some(first), Some(last)) = (known, data.sites.first(), data.sites.last()) {
            bail!(
                "--meter {}: the data set has no such site; its sites are {} to {}",
                meter.site_id,
                first.id,
                last.id
            );
        }
        library.get(&meter.template).with_context(|| format!("--meter {}", meter.site_id))?;
    }
    Ok(())
}

async fn broker(url: &str) -> anyhow::Result<()> {
    let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "mqtt");
    let host = parsed.as_ref().and_then(Url::host_str).filter(|host| !host.is_empty());
    let (Some(parsed), Some(host)) = (&parsed, host) else {
        bail!("MQTT_URL {url:?} is not mqtt://HOST:PORT");
    };
    let address = (host.trim_matches(['[', ']']), parsed.port().unwrap_or(1_883));
    let reached = timeout(PATIENCE, TcpStream::connect(address)).await;
    match reached {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(anyhow!(error)).with_context(|| no_broker(url)),
        Err(_) => bail!("{}: no answer within {} s", no_broker(url), PATIENCE.as_secs()),
    }
}

fn no_broker(url: &str) -> String {
    format!("cannot reach the MQTT broker at {url}; start it, or leave MQTT_URL away for an embedded one")
}

async fn chain(url: &str, expected: u64) -> anyhow::Result<()> {
    let parsed = Url::parse(url).with_context(|| format!("CHAIN_RPC_URL {url:?} is not http://HOST:PORT"))?;
    let found = anvil::chain_id_of(&parsed).await.with_context(|| {
        format!("cannot reach the chain at {url}; start it, or leave CHAIN_RPC_URL away for a private one")
    })?;
    if found != expected {
        bail!(
            "the node at {url} serves chain {found}, not {expected}; set CHAIN_ID={found}, or name another node"
        );
    }
    Ok(())
}
