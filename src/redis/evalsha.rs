//! How a script is run and loaded, with the client library's commands.

use fred::clients::Client;
use fred::prelude::{ClientLike, Key};
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, MultipleKeys};

use super::error::RedisError;
use super::value::Value;

pub(super) fn key_list(keys: &[String]) -> MultipleKeys {
    keys.iter().map(Key::from).collect::<Vec<_>>().into()
}

/// Runs a script that must not run twice for one call: where its reply is lost with the connection, the outcome is
/// unknown, and whoever asked is told so. (The library would send it again, and what the first run did would refuse the
/// second: a coupon that this very call has redeemed.)
pub(super) async fn call_once<const KEYS: usize>(
    client: &Client,
    sha: &str,
    keys: &[String; KEYS],
    args: Vec<Value>,
    slot: Option<u16>,
) -> Result<Value, fred::error::Error> {
    let client_once = client.with_options(&Options { max_attempts: Some(1), ..Options::default() });
    let command = CustomCommand::new_static("EVALSHA", slot.map_or(ClusterHash::Random, ClusterHash::Custom), false);
    let mut words: Vec<Value> = vec![sha.into(), KEYS.to_string().into()];
    words.extend(keys.iter().map(|key| Value::from(key.as_str())));
    words.extend(args);
    client_once.custom(command, words).await
}

/// Whether the server does not know the script by this name, and so did nothing.
pub(super) fn is_unknown_script(error: &fred::error::Error) -> bool {
    error.details().starts_with("NOSCRIPT")
}

/// Loads a script where its keys are.
pub(super) async fn load(client: &Client, source: &'static str, slot: Option<u16>) -> Result<(), RedisError> {
    let command = CustomCommand::new_static("SCRIPT", slot.map_or(ClusterHash::Random, ClusterHash::Custom), false);
    let _sha: Value = client.custom(command, vec![Value::from_static_str("LOAD"), source.into()]).await?;
    Ok(())
}
