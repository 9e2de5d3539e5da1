//! The OpenAPI 3.1 document, made from the code, and the page that shows it.

mod headers;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use self::headers::Headers;
use crate::error::Problem;
use crate::live::{self, LiveEvent};
use crate::routes::{
    autopilot, commands, communities, depth, devices, forecasts, grid_limits, links, member, members,
    network_fees, operations, orders, receipts, slot, slots, standing_orders, statements, tokens, trades,
};

const DOCUMENT_PATH: &str = "/api/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Busbar API",
        description = "A peer-to-peer energy market of an energy community: slots, trades, statements and their \
            settlement on an EVM chain.\n\nEnergy is an integer of watt-hours (`*_wh`). Money is a decimal string of \
            nano-currency (`*_nano`, 10^-9 of a currency unit), a price one of micro-currency per kWh \
            (`*_micro_per_kwh`). Times are RFC 3339 in UTC. Money is signed: positive is a credit to the account.\n\n\
            Every error is a problem document (RFC 9457); `/problems` lists their types. Every answer in JSON to a GET has an \
            ETag: a client that sends it back in If-None-Match gets 304 and no body as long as nothing has changed.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        communities::list, communities::show, slots::list, slot::show, devices::list, devices::events, members::list, member::show,
        statements::list, statements::trace::show, receipts::show, grid_limits::list, grid_limits::set, network_fees::list, network_fees::set,
        standing_orders::show, standing_orders::set, forecasts::show, autopilot::show, autopilot::set, autopilot::preview::show,
        autopilot::what_if::show, links::show, links::challenge, links::link, tokens::issue, tokens::revoke, orders::place, orders::batch::place, orders::replace, orders::cancel, orders::own::list,
        trades::of_member, trades::of_community, depth::show, commands::show, live::live,
        operations::stack, operations::alive, operations::ready,
    ),
    components(schemas(Problem<'_>, LiveEvent<'_>)),
    modifiers(&Bearer, &Headers),
    tags(
        (name = "communities", description = "Communities and their totals."),
        (name = "slots", description = "Slots, their trades, statements and settlement."),
        (name = "members", description = "Members, their sites, orders and statements."),
        (name = "devices", description = "How meters and their agents are doing, and what happened to them."),
        (name = "orders", description = "Sending orders to the market."),
        (name = "autopilot", description = "Forecasts, battery plans, and how the autopilot trades."),
        (name = "grid", description = "Network fees among zones, and how much may flow over the connection point."),
        (name = "live", description = "Events as they happen."),
        (name = "operations", description = "The server and the stack around it."),
    )
)]
struct Document;

/// Declares the bearer token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The server's own token, which it made at its first start (`[web] token_file`), or a member's, which the \
                 operator issues at `POST /api/v1/communities/{community_id}/members/{member_id}/tokens`. A member's token acts \
                 for that member alone; routes about the community's fees, limits and tokens take the server's only, and those \
                 about a member's link the member's only."))
            .build();
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document as indented JSON, with a line break at its end.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn document() -> Result<String, serde_json::Error> {
    Ok(Document::openapi().to_pretty_json()? + "\n")
}

/// Serves the document at `/api/openapi.json` and Swagger UI at `/api/docs/`.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    let swagger = SwaggerUi::new("/api/docs/{_:.*}").config(Config::from(DOCUMENT_PATH));
    config
        .service(web::resource(DOCUMENT_PATH).route(web::get().to(serve)))
        .service(web::redirect("/api/docs", "/api/docs/"))
        .service(swagger);
}

async fn serve() -> HttpResponse {
    match document() {
        Ok(text) => HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(text),
        Err(error) => {
            tracing::error!(%error, "the API document cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
