//! The command line that all services share, and the way they end.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{ConfigError, ConfigFile};

/// Exit status for what the user can mend: configuration, an unreachable server, a port in use.
pub const EXIT_USAGE: u8 = 2;

/// Options of every service.
#[derive(Debug, Clone, clap::Args)]
pub struct CommonArgs {
    /// The configuration file, a TOML file with one section a service.
    #[arg(long, env = "BUSBAR_CONFIG", default_value = "config/busbar.toml", global = true)]
    pub config: PathBuf,
    /// Read the configuration, say whether it can be used, and end.
    #[arg(long, global = true)]
    pub check_config: bool,
}

impl CommonArgs {
    /// Reads the configuration file with the overrides of this process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] with what to mend.
    pub fn load(&self) -> Result<ConfigFile, ConfigError> {
        ConfigFile::load(&self.config, std::env::vars())
    }
}

/// Ends a process: 0 after success, otherwise one clear line on standard error and status 2 for a
/// problem that the user can mend.
///
/// The causes of an error are joined into one line, outermost first, so that it says both what was
/// tried and why it failed.
pub fn finish<E: AsRef<dyn std::error::Error + 'static> + Send>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(error.as_ref()));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// An error and its causes in one line, without saying the same twice.
#[must_use]
pub fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_are_joined_once() {
        let error = Outer(std::io::Error::other("port 80\nis taken"));
        assert_eq!(one_line(&error), "cannot start: port 80 is taken");
    }
}
