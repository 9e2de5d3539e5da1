use std::path::Path;

use serde_json::Value;
use sqlx::PgPool;

use crate::support::with_server;

/// The committed document. `UPDATE_OPENAPI=1 cargo nextest run -p web openapi` renews it.
#[test]
fn the_committed_document_is_the_one_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = web::openapi::document().unwrap();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "web/openapi.json is out of date: run UPDATE_OPENAPI=1 cargo nextest run -p web openapi, and review the change"
    );
}

#[test]
fn operations_have_names_of_their_own() {
    let document: Value = serde_json::from_str(&web::openapi::document().unwrap()).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let mut names: Vec<_> =
        operations.map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_document_and_its_page_are_served(pool: PgPool) {
    with_server(pool, async |client| {
        let document = client.get("/api/openapi.json").await.json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let redirect = client.get("/api/docs").await;
        assert!(redirect.status == 307 || redirect.status == 308, "{}", redirect.status);
        assert_eq!(redirect.header("location"), Some("/api/docs/"));
        let page = client.get("/api/docs/").await;
        assert!(page.status == 200 && page.body.contains("swagger-ui"));
        let start = client.get("/api/docs/swagger-initializer.js").await;
        assert!(start.body.contains("/api/openapi.json"), "{}", start.body);
    })
    .await;
}

/// A client that is made from the document knows how to ask again, and when.
#[test]
fn headers_are_documented_where_they_are_sent() {
    let document: Value = serde_json::from_str(&web::openapi::document().unwrap()).unwrap();
    let api = "/api/v1/communities/{community_id}";
    let responses =
        |path: &str, method: &str| document["paths"][format!("{api}{path}")][method]["responses"].clone();
    let members = responses("/members", "get");
    assert!(members["200"]["headers"]["ETag"].is_object() && members["304"].is_object());
    assert!(responses("/live", "get")["304"].is_null(), "a stream has no version");
    let order = responses("/orders", "post");
    for status in ["429", "503"] {
        assert!(order[status]["headers"]["Retry-After"].is_object(), "{status}");
    }
    assert!(order["401"]["headers"]["WWW-Authenticate"].is_object());
    let statements = responses("/members/{member_id}/statements", "get");
    assert!(statements["200"]["headers"]["x-next-before"].is_object());
    for path in ["/members/{member_id}/link", "/members/{member_id}/link/challenge"] {
        assert!(responses(path, "post")["413"].is_object(), "{path}");
    }
    let preview =
        &document["paths"][format!("{api}/members/{{member_id}}/sites/{{site_id}}/autopilot/preview")]["get"];
    assert!(preview["parameters"].as_array().unwrap().iter().all(|parameter| parameter["name"] != "days"));
}

/// A route that is documented but not registered would answer "no such address", and so would one
/// whose path differs.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn every_documented_path_exists_and_reads_as_documented(pool: PgPool) {
    with_server(pool, async |client| {
        let document = client.get("/api/openapi.json").await.json();
        for (path, operations) in document["paths"].as_object().unwrap() {
            let address = path
                .replace("{community_id}", "demo")
                .replace("{member_id}", "anna")
                .replace("{site_id}", "a1")
                .replace("{slot_start}", "2026-03-01T12:00:00Z")
                .replace("{command_id}", "4")
                .replace("{order_id}", "1");
            for (method, operation) in operations.as_object().unwrap() {
                if path.ends_with("/live") {
                    continue; // never ends
                }
                let answer = client.send(&method.to_uppercase(), &address, &[], "").await;
                let responses = &operation["responses"];
                assert!(
                    responses.get(answer.status.to_string()).is_some(),
                    "{method} {path}: {}",
                    answer.status
                );
                // What is a member's own to read needs its token.
                let guarded = answer.status == 401 && operation.get("security").is_some();
                assert_eq!(answer.status == 200, method == "get" && !guarded, "{method} {path}");
                check_answer(&document, &responses[answer.status.to_string()], &answer.body);
            }
        }
    })
    .await;
}

/// A JSON answer has what its schema requires, and nothing that the schema does not know, at any depth.
fn check_answer(document: &Value, response: &Value, body: &str) {
    let schema = &response["content"]["application/json"]["schema"];
    if !schema.is_null() {
        check(document, schema, &serde_json::from_str(body).unwrap(), "body");
    }
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let objects = object_parts(document, schema);
    if let (Value::Object(fields), false) = (value, objects.is_empty()) {
        for required in objects.iter().flat_map(|part| part["required"].as_array().into_iter().flatten()) {
            assert!(fields.contains_key(required.as_str().unwrap()), "{at} lacks {required}");
        }
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            let known = objects.iter().find_map(|part| part["properties"].get(name));
            check(document, known.unwrap_or_else(|| panic!("{at} is not documented")), field, &at);
        }
    }
    for entry in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], entry, &format!("{at}[]"));
    }
}

/// The object schemas that a schema is made of: itself, what it refers to, and what it joins.
fn object_parts<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return object_parts(document, &document["components"]["schemas"][name]);
    }
    let joined = ["allOf", "oneOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten());
    let mut parts: Vec<_> = joined.flat_map(|part| object_parts(document, part)).collect();
    if schema.get("properties").is_some() {
        parts.push(schema);
    }
    parts
}
