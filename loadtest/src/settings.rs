//! What are the server's settings? The few that a client has to share with it, read the way it reads them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use figment::Figment;
use figment::providers::{Format, Toml};

/// The same file that is built into the server, so that no default is written down twice.
const DEFAULT: &str = include_str!("../../config/default.toml");

/// The server's settings.
pub(crate) struct Settings {
    file: PathBuf,
    figment: Figment,
}

impl Settings {
    /// Reads the defaults and the file. One that is not there changes nothing.
    pub(crate) fn load(file: &Path) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Toml::string(DEFAULT));
        if file.exists() {
            figment = figment.merge(Toml::file_exact(file));
        }
        // figment reads lazily: a broken file would otherwise be reported by whoever asks for a setting first.
        figment.extract::<figment::value::Dict>().with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { file: file.to_owned(), figment })
    }

    /// The secret that users' tokens are signed with.
    pub(crate) fn hs256_secret(&self) -> anyhow::Result<String> {
        let secret = self.get("auth.hs256_secret", "ONRUSH__AUTH__HS256_SECRET")?;
        anyhow::ensure!(
            !secret.is_empty(),
            "auth.hs256_secret is neither in {} nor in the environment; `make run` writes one",
            self.file.display()
        );
        Ok(secret)
    }

    /// The address that the server listens on.
    pub(crate) fn listen(&self) -> anyhow::Result<SocketAddr> {
        let listen = self.get("http.listen", "ONRUSH__HTTP__LISTEN")?;
        listen.parse().with_context(|| format!("http.listen: {listen} is not an address with a port"))
    }

    fn get(&self, setting: &str, variable: &str) -> anyhow::Result<String> {
        #[expect(clippy::disallowed_methods, reason = "this is where `rush` reads settings")]
        let set = std::env::var(variable).ok();
        // An empty variable is one that is not set, as for the server.
        match set.filter(|value| !value.is_empty()) {
            Some(value) => Ok(value),
            None => self.figment.extract_inner(setting).with_context(|| format!("cannot read {setting}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_defaults_hold_and_there_is_no_secret() {
        let settings = Settings::load(Path::new("/nonexistent/onrush.toml")).unwrap();
        assert_eq!(settings.figment.extract_inner::<String>("http.listen").unwrap(), "127.0.0.1:8080");
        assert_eq!(settings.figment.extract_inner::<String>("auth.hs256_secret").unwrap(), "");
    }
}
