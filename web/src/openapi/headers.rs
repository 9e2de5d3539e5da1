//! The headers that every route has alike, so that no route can forget to tell of them: what middleware adds is
//! documented here, once.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{
    Header, HeaderBuilder, Object, OpenApi, PathItem, RefOr, Required, Response, ResponseBuilder, Type,
};

/// Adds the headers of conditional requests, and those that come with some statuses.
pub(super) struct Headers;

impl Modify for Headers {
    fn modify(&self, document: &mut OpenApi) {
        for path in document.paths.paths.values_mut() {
            if let Some(get) = &mut path.get {
                conditional(get);
            }
            for operation in operations(path) {
                for (status, name, header) in [
                    ("401", "WWW-Authenticate", challenge()),
                    ("429", "Retry-After", seconds()),
                    ("503", "Retry-After", seconds()),
                ] {
                    if let Some(response) = answer(operation, status) {
                        response.headers.insert(name.to_owned(), header.into());
                    }
                }
            }
        }
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.patch, &mut path.delete].into_iter().flatten()
}

fn answer<'a>(operation: &'a mut Operation, status: &str) -> Option<&'a mut Response> {
    match operation.responses.responses.get_mut(status)? {
        RefOr::T(response) => Some(response),
        RefOr::Ref(_) => None,
    }
}

/// What [`crate::etag`] does for every answer in JSON.
fn conditional(get: &mut Operation) {
    let Some(shown) = answer(get, "200").filter(|shown| shown.content.contains_key("application/json"))
    else {
        return;
    };
    shown.headers.insert("ETag".to_owned(), tag().into());
    let unchanged = ResponseBuilder::new()
        .description("The client has this answer already: it sent the answer's ETag in If-None-Match.")
        .header("ETag", tag())
        .build();
    get.responses.responses.insert("304".to_owned(), unchanged.into());
    let known: Parameter = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The ETag of the answer that the client has; if it still holds, the answer is 304 without a body."))
        .schema(Some(Object::with_type(Type::String)))
        .build();
    get.parameters.get_or_insert_default().push(known.into());
}

fn tag() -> Header {
    described(Type::String, "The version of a JSON answer: weak, and the same as long as the body is.")
}

fn seconds() -> Header {
    described(Type::Integer, "After how many seconds to try again.")
}

fn challenge() -> Header {
    described(Type::String, "That a bearer token is needed: `Bearer realm=\"busbar\"`.")
}

fn described(of: Type, words: &str) -> Header {
    HeaderBuilder::new().schema(Some(Object::with_type(of))).description(Some(words)).build()
}
