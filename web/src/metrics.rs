//! Metrics in Prometheus' text format: how requests fare, and what lies in the database.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use store::StoreError;
use store::views::operations;
use tokio::time::Instant;

use crate::app::AppState;
use crate::error::ApiError;
use crate::problems;

/// The route of requests that match none; one value, or any path would become a series.
const UNMATCHED: &str = "unmatched";

/// The server's metrics; each server has its own.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration_s: HistogramVec,
    slots: IntGaugeVec,
    readings: IntGaugeVec,
    settlement_waits: IntGaugeVec,
    database_up: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// If two have one name.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("busbar_http_requests_total", "Requests answered, by method, route and status."),
            &["method", "route", "status"],
        )?;
        let duration_s = HistogramVec::new(
            HistogramOpts::new(
                "busbar_http_request_duration_seconds",
                "Time to the answer's head, by route.",
            ),
            &["method", "route"],
        )?;
        let slots = IntGaugeVec::new(
            Opts::new("busbar_slots", "Slots, by community and status."),
            &["community", "status"],
        )?;
        let readings = IntGaugeVec::new(
            Opts::new("busbar_readings_stored", "Signed readings stored, by community."),
            &["community"],
        )?;
        let settlement_waits = IntGaugeVec::new(
            Opts::new(
                "busbar_settlement_waits_for_fees",
                "1 while settlement waits because the chain is dearer than allowed, by community; absent otherwise.",
            ),
            &["community"],
        )?;
        let database_up = IntGauge::new("busbar_database_up", "Whether the database answered: 1 or 0.")?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration_s.clone()))?;
        registry.register(Box::new(slots.clone()))?;
        registry.register(Box::new(readings.clone()))?;
        registry.register(Box::new(settlement_waits.clone()))?;
        registry.register(Box::new(database_up.clone()))?;
        Ok(Self { registry, requests, duration_s, slots, readings, settlement_waits, database_up })
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// If a metric cannot be written.
    fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Counts and times every request.
pub(crate) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let state = request.app_data::<web::Data<AppState>>().cloned();
    let route = request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned());
    let method = known(request.method());
    let started = Instant::now();
    let result = next.call(request).await;
    if let Some(state) = state {
        let status = match &result {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        state.metrics.requests.with_label_values(&[method, &route, status.as_str()]).inc();
        let duration = started.elapsed().as_secs_f64();
        tracing::debug!(method, route, status = status.as_u16(), duration_s = duration, "answered");
        state.metrics.duration_s.with_label_values(&[method, &route]).observe(duration);
    }
    result
}

/// A method's name; a client can invent others.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// `GET /metrics`.
pub(crate) async fn scrape(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let metrics = &state.metrics;
    match fill(&state).await {
        Ok(()) => metrics.database_up.set(1),
        Err(error) => {
            tracing::warn!(%error, "the database's metrics are missing from this scrape");
            metrics.database_up.set(0);
        }
    }
    let text = metrics.text().map_err(|error| ApiError::new(problems::INTERNAL, error.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(text))
}

async fn fill(state: &AppState) -> Result<(), StoreError> {
    // Dropped first: a stale figure would look like a fresh one.
    state.metrics.slots.reset();
    state.metrics.readings.reset();
    state.metrics.settlement_waits.reset();
    for row in operations::slot_counts(&state.pool).await? {
        state.metrics.slots.with_label_values(&[&row.community_id, &row.status]).set(row.slots);
    }
    for row in operations::reading_counts(&state.pool).await? {
        state.metrics.readings.with_label_values(&[&row.community_id]).set(row.readings);
    }
    for wait in store::waits::all(&state.pool).await? {
        state.metrics.settlement_waits.with_label_values(&[&wait.community_id]).set(1);
    }
    Ok(())
}
