//! Claims and holders go into Redis in parts, each once and in order.

use super::begun::Begun;
use super::error::{RebuildError, expect_ok};
use super::recorded::Page;
use crate::campaign::call_unmarked;
use crate::redis::{Redis, Script, Value};
use crate::script;

static LOAD: Script<4> = script!("rebuild/load");

/// Claims, or attempts that never claim, that one call brings back.
const PART: usize = 1_000;

/// One campaign's way back into Redis.
pub(super) struct Load<'a> {
    redis: &'a Redis,
    begun: &'a Begun,
    parts: u64,
}

impl<'a> Load<'a> {
    /// Takes away what is left of the campaign's claims.
    pub(super) async fn begin(redis: &'a Redis, begun: &'a Begun) -> Result<Self, RebuildError> {
        let mut load = Self { redis, begun, parts: 0 };
        load.part(&[], &[], &[]).await?;
        Ok(load)
    }

    /// Brings these claims back. They come in the order of their numbers.
    pub(super) async fn page(&mut self, page: &Page) -> Result<(), RebuildError> {
        let mut used = &page.used[..];
        for claims in page.claims.chunks(PART) {
            let last = claims.last().map_or(0, |(number, _)| *number);
            let (now, later) = used.split_at(used.partition_point(|(number, _)| *number <= last));
            self.part(claims, now, &[]).await?;
            used = later;
        }
        Ok(())
    }

    /// These users' attempts never claim.
    pub(super) async fn cancelled(&mut self, attempts: &[(String, String)]) -> Result<(), RebuildError> {
        for some in attempts.chunks(PART) {
            self.part(&[], &[], some).await?;
        }
        Ok(())
    }

    async fn part(
        &mut self,
        claims: &[(u64, String)],
        used: &[(u64, String)],
        cancelled: &[(String, String)],
    ) -> Result<(), RebuildError> {
        self.parts += 1;
        let Begun { id, token, server, .. } = self.begun;
        let mut args: Vec<Value> = vec![token.as_str().into(), server.as_str().into()];
        args.extend([self.parts, claims.len() as u64, used.len() as u64].map(|number| number.to_string().into()));
        let by_number = claims.iter().chain(used);
        args.extend(by_number.flat_map(|(number, record)| [number.to_string().into(), record.as_str().into()]));
        args.extend(cancelled.iter().flat_map(|(user, attempt)| [user.as_str().into(), attempt.as_str().into()]));
        let keys = self.redis.keys().of(id);
        let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.redemptions()];
        expect_ok(&call_unmarked(self.redis, id, &LOAD, keys, args).await?)
    }
}
