//! What may not be asked? Requests that have to be refused, each with its status and its code.

use anyhow::Context;
use goose::goose::GooseMethod;

use crate::caller::Caller;
use crate::users::User;

const KEY_BYTES_MAX: usize = 255;
const KINDS: u64 = 7;

/// Sends the bad request of this number, and insists on its refusal.
pub(super) async fn send(caller: &mut Caller<'_>, user: &User, number: u64) -> anyhow::Result<()> {
    let path = caller.claims_path();
    let post = |path: &str| caller.builder(GooseMethod::Post, path);
    let (builder, status, code, header) = match number % KINDS {
        // A key that is too long.
        0 => {
            let key = "k".repeat(KEY_BYTES_MAX + 1);
            (post(&path)?.bearer_auth(&user.token).header("Idempotency-Key", key), 400, "invalid_request", None)
        }
        // A parameter that nobody knows.
        1 => (post(&format!("{path}?fast=1"))?.bearer_auth(&user.token), 400, "invalid_request", None),
        // Nobody.
        2 => (post(&path)?, 401, "unauthenticated", Some("www-authenticate")),
        // Somebody who signs their own tokens.
        3 => {
            let forged = User::new(user.name.clone(), user.visit, "a secret that is not the server's own")?;
            (post(&path)?.bearer_auth(forged.token), 401, "unauthenticated", Some("www-authenticate"))
        }
        // A user where only operators may go.
        4 => (caller.builder(GooseMethod::Get, &path)?.bearer_auth(&user.token), 403, "forbidden", None),
        // A campaign that does not exist.
        5 => {
            let nowhere = post("/v1/campaigns/there-is-no-such-campaign/claims")?;
            (nowhere.bearer_auth(&user.token), 404, "not_found", None)
        }
        // A method that the route does not have.
        _ => {
            let delete = caller.builder(GooseMethod::Delete, &path)?;
            (delete.bearer_auth(&user.token), 405, "method_not_allowed", Some("allow"))
        }
    };
    let answer = caller.ask("bad input", "bad input", builder).await.context("bad input")?;
    caller.must_refuse(&answer, status, code);
    let has_it = header.is_none_or(|header| !answer.header(header).is_empty());
    caller.scene.records.must(has_it, || format!("no {header:?}: {}", answer.describe()));
    Ok(())
}
