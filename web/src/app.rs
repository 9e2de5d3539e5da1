//! The application as a value: every route, and what every request passes on its way.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{App, Error, web};
use domain::time::Clock;
use service::lifecycle::Shutdown;
use service::secret::Secret;
use store::PgPool;
use store::notify::Event;
use tokio::sync::{Semaphore, broadcast};

use crate::error::{ApiError, json_error, path_error, query_error};
use crate::live::journal::Journal;
use crate::metrics::Metrics;
use crate::routes::commands::decisions::Decisions;
use crate::routes::orders::inbox::Inbox;
use crate::routes::orders::limit::CommandLimit;
use crate::server::StackInfo;
use crate::{dashboard, etag, headers, live, metrics, openapi, problems, routes};

/// The largest body accepted, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1_024;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct AppState {
    /// The database.
    pub(crate) pool: PgPool,
    /// The time.
    pub(crate) clock: Clock,
    /// The token of the routes that write.
    pub(crate) token: Secret,
    /// What is known about the stack around this server.
    pub(crate) stack: StackInfo,
    /// Hints of what changed in the database.
    pub(crate) hints: broadcast::Sender<Event>,
    /// The last live events, numbered.
    pub(crate) journal: Journal,
    /// Where commands wait to be stored together.
    pub(crate) inbox: Inbox,
    /// Where requests wait for the market's decisions.
    pub(crate) decisions: Decisions,
    /// How many commands a credential may send.
    pub(crate) command_limit: CommandLimit,
    /// Free places for live clients.
    pub(crate) live_places: Arc<Semaphore>,
    /// How long an order's answer waits for the market.
    pub(crate) decision_wait: Duration,
    /// The trees that receipts are proved by.
    pub(crate) trees: store::receipts::Trees,
    /// The origin that members see, if a proxy stands in front.
    pub(crate) public_origin: Option<String>,
    /// A node of the chain that browsers may ask.
    pub(crate) public_rpc_url: Option<String>,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Counts and times of requests.
    pub(crate) metrics: Metrics,
    /// Ends live streams when the server stops.
    pub(crate) shutdown: Shutdown,
}

/// Makes the application.
pub(crate) fn app(
    state: web::Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(state)
        .app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES).error_handler(json_error))
        .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
        .app_data(web::QueryConfig::default().error_handler(query_error))
        .app_data(web::PathConfig::default().error_handler(path_error))
        .configure(routes::configure)
        .configure(live::configure)
        .configure(problems::configure)
        .configure(openapi::configure)
        .configure(dashboard::configure)
        .wrap(from_fn(in_time))
        .wrap(from_fn(etag::compare))
        .wrap(from_fn(headers::explain))
        .wrap(from_fn(headers::secure))
        .wrap(Compress::default())
        .wrap(from_fn(metrics::observe))
}

/// Gives a request up that takes too long. The body of a live stream is not part of the request.
async fn in_time(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let limit = request.app_data::<web::Data<AppState>>().map(|state| state.request_timeout);
    match limit {
        None => next.call(request).await,
        Some(limit) => tokio::time::timeout(limit, next.call(request)).await.unwrap_or_else(|_| {
            let detail = format!("the answer was not ready after {} s", limit.as_secs());
            Err(ApiError::new(problems::TIMEOUT, detail).into())
        }),
    }
}
