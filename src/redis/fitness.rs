//! Is this server fit for use? One that throws keys away when its memory is full would lose promises.

use fred::clients::Client;
use fred::prelude::ClientLike;
use fred::types::{ClusterHash, CustomCommand};

use super::error::RedisError;

/// Checks the server that has this slot.
pub(super) async fn check_server(client: &Client, slot: ClusterHash) -> Result<(), RedisError> {
    let command = CustomCommand::new_static("INFO", slot, false);
    let memory: String = client.custom(command.clone(), vec!["memory"]).await?;
    let server: String = client.custom(command, vec!["server"]).await?;
    let field = |info: &str, name: &str| {
        info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    let policy = field(&memory, "maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" {
        return Err(RedisError::Unfit(format!("maxmemory-policy is {policy:?}, must be noeviction")));
    }
    let version = field(&server, "redis_version").unwrap_or_default();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 7 {
        return Err(RedisError::Unfit(format!("version is {version:?}, must be 7.0 or newer")));
    }
    Ok(())
}
