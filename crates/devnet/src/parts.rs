//! The three servers that a community needs: own ones, or existing ones where a URL is given.

use std::path::Path;

use crate::anvil::{Anvil, AnvilOptions, Mining, package_binary};
use crate::broker::{Broker, BrokerOptions};
use crate::cli::DemoArgs;
use crate::installed::{self, CONTRACTS, POSTGRES_NPM};
use crate::postgres::{Postgres, PostgresOptions, package_binaries_dir};

const POSTGRES_PORT: u16 = 15_432;
const MQTT_PORT: u16 = 11_883;
const CHAIN_PORT: u16 = 18_545;

/// What runs beside the services, and how it is reached.
#[derive(Debug)]
pub struct Parts {
    postgres: Option<Postgres>,
    anvil: Option<Anvil>,
    broker: Option<Broker>,
    /// The database's URL, password included.
    pub database_url: String,
    /// The broker's MQTT 5 listener, for agents and ingest.
    pub mqtt_url: String,
    /// The broker's MQTT 3.1.1 listener, for simulated devices.
    pub device_mqtt_url: String,
    /// The chain's JSON-RPC.
    pub chain_rpc_url: String,
    /// Lines for people: what runs where, and which ports had to be replaced.
    pub notes: Vec<String>,
}

impl Parts {
    /// Starts what is not given. `state` is the folder of everything stored; pages of `dashboard_origin` may ask
    /// the chain, which is how the dashboard checks receipts. `broker` is the one that runs in this process since an
    /// earlier start, because it cannot be stopped.
    ///
    /// # Errors
    /// The first part that does not start, in a line that says what to do; those before it are stopped.
    pub async fn start(
        args: &DemoArgs,
        state: &Path,
        dashboard_origin: &str,
        broker: Option<Broker>,
    ) -> anyhow::Result<Self> {
        let mut notes = Vec::new();
        let (postgres, database_url) = database(args, state, &mut notes).await?;
        let broker = match (&args.mqtt_url, broker) {
            (None, None) => Some(Broker::start(broker_options()).await?),
            (_, running) => running,
        };
        let (mqtt_url, device_mqtt_url) = broker_urls(args, broker.as_ref(), &mut notes);
        let (anvil, chain_rpc_url) = chain(args, state, dashboard_origin, &mut notes).await?;
        Ok(Self { postgres, anvil, broker, database_url, mqtt_url, device_mqtt_url, chain_rpc_url, notes })
    }

    /// The broker in this process, if it is ours.
    #[must_use]
    pub fn broker(&self) -> Option<Broker> {
        self.broker.clone()
    }

    /// Waits until a server that was started here ends without being asked to; says which, and how.
    pub async fn ended(&mut self) -> String {
        let Self { postgres, anvil, .. } = self;
        let postgres = async {
            match postgres {
                Some(postgres) => postgres.ended().await,
                None => std::future::pending().await,
            }
        };
        let anvil = async {
            match anvil {
                Some(anvil) => anvil.ended().await,
                None => std::future::pending().await,
            }
        };
        let (name, status) = tokio::select! {
            status = postgres => ("PostgreSQL", status),
            status = anvil => ("the chain (anvil)", status),
        };
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("{name} ended by itself ({how})")
    }

    /// Whether the chain is ours, so that its accounts can be funded at will.
    #[must_use]
    pub const fn owns_chain(&self) -> bool {
        self.anvil.is_some()
    }

    /// Stops what was started, the chain first: the database holds everything.
    ///
    /// # Errors
    /// When a child does not stop.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some(anvil) = self.anvil {
            anvil.stop().await?;
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}

/// The options of the private server; `--fresh` erases by the same.
#[must_use]
pub fn postgres_options(state: &Path) -> PostgresOptions {
    let mut options =
        PostgresOptions::new(package_binaries_dir(&installed::folder(POSTGRES_NPM)), state.to_owned());
    options.preferred_port = Some(POSTGRES_PORT);
    options
}

async fn database(
    args: &DemoArgs,
    state: &Path,
    notes: &mut Vec<String>,
) -> anyhow::Result<(Option<Postgres>, String)> {
    if let Some(url) = &args.database_url {
        notes.push("PostgreSQL: the one in DATABASE_URL".to_owned());
        return Ok((None, url.clone()));
    }
    let postgres = Postgres::start(postgres_options(state)).await?;
    notes.push(from_here(&postgres.notice()));
    let url = postgres.url().to_owned();
    Ok((Some(postgres), url))
}

fn broker_options() -> BrokerOptions {
    BrokerOptions { preferred_v5_port: Some(MQTT_PORT), ..BrokerOptions::default() }
}

/// Where agents and ingest, and where devices connect: to ours, or to the one that was given.
fn broker_urls(args: &DemoArgs, broker: Option<&Broker>, notes: &mut Vec<String>) -> (String, String) {
    let Some(broker) = broker else {
        let url = args.mqtt_url.clone().unwrap_or_default();
        notes.push(format!("MQTT broker: {url}"));
        return (url.clone(), url);
    };
    let mut line = format!("MQTT broker on {} (devices: {})", broker.v5_url(), broker.v4_url());
    for port in broker.taken_ports() {
        line.push_str(&format!("; port {port} is taken"));
    }
    notes.push(line);
    (broker.v5_url(), broker.v4_url())
}

async fn chain(
    args: &DemoArgs,
    state: &Path,
    dashboard_origin: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<(Option<Anvil>, String)> {
    if let Some(url) = &args.chain_rpc_url {
        notes.push(format!("EVM chain {}: {url}", args.chain_id));
        return Ok((None, url.clone()));
    }
    let anvil = Anvil::start(AnvilOptions {
        binary: package_binary(&installed::folder(CONTRACTS)),
        run_dir: state.join("anvil"),
        chain_id: args.chain_id,
        mining: Mining::Automine { seconds: 1 },
        preferred_port: Some(CHAIN_PORT),
        allowed_origin: Some(dashboard_origin.to_owned()),
    })
    .await?;
    notes.push(anvil.notice());
    let url = anvil.url().to_string();
    Ok((Some(anvil), url))
}

/// Shows paths below the working directory from there: shorter, and the dashboard shows nobody's folders.
fn from_here(line: &str) -> String {
    match std::env::current_dir() {
        Ok(here) if here.parent().is_some() => line.replace(&format!("{}/", here.display()), ""),
        _ => line.to_owned(),
    }
}
