//! What every service needs and that knows no domain: configuration, telemetry, lifecycle, health.
