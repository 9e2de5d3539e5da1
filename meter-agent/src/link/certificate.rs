//! When the client certificate expires: said in time, not when the broker begins to refuse.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use service::lifecycle::Shutdown;

use super::MqttConfig;

/// From so many days before its end on, a certificate is an alarm.
pub const ALARM_DAYS: i64 = 30;
const LOOK_EVERY: Duration = Duration::from_secs(12 * 3_600);

/// How many whole days a PEM certificate is still valid for; negative once it has expired.
///
/// # Errors
/// With a reason, if there is no certificate in it.
pub fn days_left(pem: &[u8], now: DateTime<Utc>) -> Result<i64, String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).map_err(|error| error.to_string())?;
    let certificate = pem.parse_x509().map_err(|error| error.to_string())?;
    let end_s = certificate.validity().not_after.timestamp();
    Ok((end_s - now.timestamp()).div_euclid(24 * 3_600))
}

/// Looks at the client certificate twice a day, and says so when its end is near.
pub async fn watch_certificate(mqtt: &MqttConfig, clock: &Clock, shutdown: &Shutdown) {
    let Some(path) = &mqtt.client_certificate_file else { return };
    loop {
        let pem = tokio::fs::read(path).await.map_err(|error| error.to_string());
        match pem.and_then(|pem| days_left(&pem, clock.now())) {
            Ok(days) if days < ALARM_DAYS => {
                tracing::warn!(days, path = %path.display(), "the client certificate expires soon: renew it");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the client certificate cannot be read")
            }
        }
        if !shutdown.sleep(LOOK_EVERY).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of nobody, valid until END.
    const PEM: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBeTCCAR+gAwIBAgIUZN6u9V7ir0TsSIGkFC+OGGRqWR8wCgYIKoZIzj0EAwIw\n\
        EjEQMA4GA1UEAwwHYWdlbnQtMTAeFw0yNjExMjIwOTU4NTJaFw0zNjExMTkwOTU4\n\
        NTJaMBIxEDAOBgNVBAMMB2FnZW50LTEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n\
        AAROAlV+0GL7p3O0xAKqm/f98Vjl+GtEsuEQPW/D0Tzni6/Z9xtvOj/Ya0hziscJ\n\
        fSfnx5B8FV/wuTU6PN6G49kfo1MwUTAdBgNVHQ4EFgQUfvvizDfpgkc97Bu4LUJG\n\
        tABdANcwHwYDVR0jBBgwFoAUfvvizDfpgkc97Bu4LUJGtABdANcwDwYDVR0TAQH/\n\
        BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAjntyLs0/bf7t1/W49gfwF+Si6+dla\n\
        rkN2QDXBL3ydkgIhAJrgx922tjAxUjO5LQoU+RKP4CCSp1g6WCyXOzCtL9Uv\n\
        -----END CERTIFICATE-----\n";
    const END_S: i64 = 2_110_701_532;

    #[test]
    fn f48_the_days_until_the_end_are_known_a_month_ahead() {
        let at = |days: i64| DateTime::from_timestamp(END_S - days * 24 * 3_600, 0).unwrap();
        for days in [365, ALARM_DAYS, ALARM_DAYS - 1, 0, -1] {
            assert_eq!(days_left(PEM.as_bytes(), at(days)), Ok(days));
        }
        assert!(days_left(b"not a certificate", at(0)).is_err());
        assert!(days_left(b"", at(0)).is_err());
    }
}
