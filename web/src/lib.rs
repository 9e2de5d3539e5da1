//! The HTTP API, its OpenAPI document, live events and the dashboard.
