//! Section `[database]`, the same for every service.

use std::path::PathBuf;

use serde::Deserialize;

use crate::secret::{self, Secret, SecretError};

/// Section `[database]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `postgres://user@host:port/database`, without a password.
    pub url: String,
    /// Holds the password, where the server asks for one.
    pub password_file: Option<PathBuf>,
    /// The most connections one process opens.
    pub max_connections: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: "postgres://busbar@127.0.0.1:5432/busbar".to_owned(),
            password_file: None,
            max_connections: 8,
        }
    }
}

impl DatabaseConfig {
    /// Reads the password, if one is configured.
    ///
    /// # Errors
    /// [`SecretError`] if the file cannot be used.
    pub fn password(&self) -> Result<Option<Secret>, SecretError> {
        self.password_file.as_deref().map(secret::read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    #[test]
    fn there_is_no_password_by_default_and_a_missing_file_is_named() {
        let config: DatabaseConfig = ConfigFile::parse("").unwrap().section("database").unwrap();
        assert!(config.password().unwrap().is_none());
        let named = DatabaseConfig { password_file: Some("/nonexistent/password".into()), ..config };
        assert!(named.password().unwrap_err().to_string().contains("/nonexistent/password"));
    }
}
