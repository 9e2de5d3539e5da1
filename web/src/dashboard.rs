//! The dashboard: the built front end, inside the binary (read from its folder in debug builds).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::ApiError;
use crate::problems;

const INDEX: &str = "index.html";
/// Names under here carry a hash of their content.
const HASHED: &str = "assets/";
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Busbar</title></head>\
    <body><h1>The dashboard is not built</h1><p>Run <code>make dashboard</code> and load this page again.</p>\
    <p>The API works without it: <a href=\"/api/docs/\">documentation</a>.</p></body></html>";

#[derive(RustEmbed)]
#[folder = "dashboard/dist/"]
#[allow_missing = true]
struct Dist;

/// Serves `/` and, where nothing else is, the front end's files.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/").route(web::get().to(index)).route(web::head().to(index)))
        .default_service(web::route().to(file));
}

async fn index(request: HttpRequest) -> HttpResponse {
    match Dist::get(INDEX) {
        Some(file) => answer(&request, INDEX, &file),
        None => HttpResponse::ServiceUnavailable()
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .body(NOT_BUILT),
    }
}

async fn file(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.path().trim_start_matches('/');
    let readable = matches!(request.method().as_str(), "GET" | "HEAD");
    match Dist::get(path).filter(|_| readable) {
        Some(file) => Ok(answer(&request, path, &file)),
        None => Err(ApiError::new(problems::NOT_FOUND, "nothing is served at this address")),
    }
}

fn answer(request: &HttpRequest, path: &str, file: &EmbeddedFile) -> HttpResponse {
    let tag = header::EntityTag::new_strong(hex::encode(file.metadata.sha256_hash()));
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.contains(tag.tag()));
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, caching)).insert_header(header::ETag(tag));
    if known {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, media_type(path))).body(file.data.to_vec())
}

/// The media types that a built front end has.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_those_browsers_insist_on() {
        assert_eq!(media_type("assets/index-1a2b.js"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("manifest.webmanifest"), "application/manifest+json");
        assert_eq!(media_type("LICENSE"), "application/octet-stream");
    }
}
