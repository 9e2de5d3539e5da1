//! One TOML file with a section for each service, overridden by environment variables.
//!
//! `BUSBAR_WEB__LISTEN_ADDR=127.0.0.1:9000` overrides `listen_addr` in `[web]`; a dash in a section's
//! name is an underscore there. Unknown sections and, since every section type denies unknown
//! fields, unknown keys are errors: a typing mistake must never silently mean the default.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Every section that a configuration file may have.
pub const SECTIONS: [&str; 10] = [
    "telemetry",
    "database",
    "mqtt",
    "chain",
    "community",
    "meter-agent",
    "ingest",
    "market",
    "settlement",
    "web",
];
const ENV_PREFIX: &str = "BUSBAR_";
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A configuration cannot be used; each names the file, section or variable to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}; name another with --config")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
    },
    /// The file has a section nobody reads.
    #[error("unknown section [{section}] in the configuration; known are {}", SECTIONS.join(", "))]
    UnknownSection {
        /// Its name.
        section: String,
    },
    /// A section's content is not what its service expects.
    #[error("section [{section}] of the configuration: {message}")]
    Section {
        /// Its name.
        section: String,
        /// What is wrong.
        message: String,
    },
    /// An environment variable does not name a section and a key.
    #[error("the environment variable {variable} does not name a setting: use BUSBAR_<SECTION>__<KEY>")]
    Variable {
        /// Its name.
        variable: String,
    },
}

/// A configuration file, with overrides applied, not yet split into its typed sections.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    sections: Table,
}

impl ConfigFile {
    /// Reads a file and applies the overrides in `environment` (all variables of the process).
    ///
    /// # Errors
    /// [`ConfigError`] with what to mend.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_FILE_BYTES {
            return Err(unreadable(std::io::Error::other("larger than 1 MiB")));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut file = Self::parse(&text).map_err(|error| match error {
            ConfigError::Syntax { message, .. } => ConfigError::Syntax { path: path.to_owned(), message },
            other => other,
        })?;
        for (variable, value) in environment {
            file.override_from(&variable, &value)?;
        }
        Ok(file)
    }

    /// Reads a configuration from text.
    ///
    /// # Errors
    /// [`ConfigError`] with what to mend.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let sections: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: PathBuf::from("the configuration"),
            message: error.to_string(),
        })?;
        for (section, value) in &sections {
            if !SECTIONS.contains(&section.as_str()) || !value.is_table() {
                return Err(ConfigError::UnknownSection { section: section.clone() });
            }
        }
        Ok(Self { sections })
    }

    /// Sets one value, as an override does.
    ///
    /// # Errors
    /// [`ConfigError::UnknownSection`] if there can be no such section.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) -> Result<(), ConfigError> {
        if !SECTIONS.contains(&section) {
            return Err(ConfigError::UnknownSection { section: section.to_owned() });
        }
        let entry = self.sections.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(table) = entry {
            table.insert(key.to_owned(), value.into());
        }
        Ok(())
    }

    /// The typed content of a section; a missing section is an empty one, so that its defaults hold.
    ///
    /// # Errors
    /// [`ConfigError::Section`] with the key that is wrong.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        let value = self.sections.get(name).cloned().unwrap_or_else(|| Value::Table(Table::new()));
        value.try_into().map_err(|error: toml::de::Error| ConfigError::Section {
            section: name.to_owned(),
            message: error.to_string().trim().replace('\n', " "),
        })
    }

    fn override_from(&mut self, variable: &str, text: &str) -> Result<(), ConfigError> {
        let Some(name) = variable.strip_prefix(ENV_PREFIX) else { return Ok(()) };
        // Variables without a double underscore belong to the command line (BUSBAR_CONFIG).
        let Some((section, key)) = name.split_once("__") else { return Ok(()) };
        let section = section.to_ascii_lowercase().replace('_', "-");
        if !SECTIONS.contains(&section.as_str()) || key.is_empty() {
            return Err(ConfigError::Variable { variable: variable.to_owned() });
        }
        self.set(&section, &key.to_ascii_lowercase(), scalar(text))
    }
}

/// Numbers and booleans are read as such, anything else is text.
fn scalar(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return Value::Integer(number);
    }
    match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Web {
        listen_addr: String,
        workers: u32,
    }

    impl Default for Web {
        fn default() -> Self {
            Self { listen_addr: "127.0.0.1:8080".to_owned(), workers: 2 }
        }
    }

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Web, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busbar.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        ConfigFile::load(&path, environment)?.section("web")
    }

    #[test]
    fn a_missing_section_means_the_defaults() {
        assert_eq!(load("", &[]).unwrap(), Web::default());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let web = load(
            "[web]\nworkers = 3",
            &[("BUSBAR_WEB__WORKERS", "4"), ("PATH", "x"), ("BUSBAR_CONFIG", "y")],
        );
        assert_eq!(web.unwrap().workers, 4);
    }

    #[test]
    fn unknown_keys_sections_and_variables_are_named() {
        assert!(load("[web]\nworker = 3", &[]).unwrap_err().to_string().contains("worker"));
        assert!(load("[wbe]\n", &[]).unwrap_err().to_string().contains("[wbe]"));
        assert!(load("web = 3", &[]).is_err());
        let variable = load("", &[("BUSBAR_WBE__X", "1")]).unwrap_err().to_string();
        assert!(variable.contains("BUSBAR_WBE__X"));
    }

    #[test]
    fn broken_toml_names_the_file_and_line() {
        let error = load("[web\n", &[]).unwrap_err().to_string();
        assert!(error.contains("busbar.toml") && error.contains("line 1"), "{error}");
    }
}
