//! Claims and holders go into Redis in parts, each once and in order.

use super::recorded::Page;
use super::{Begun, RebuildError, Rebuilder, expect_ok};
use crate::redis::{Reply, Script, Value};
use crate::script;

static LOAD: Script<4> = script!("rebuild/load");

/// Claims, or attempts that never claim, that one call brings back.
const PART: usize = 1_000;

/// One campaign's way back into Redis.
pub(super) struct Load<'a> {
    rebuilder: &'a Rebuilder,
    begun: &'a Begun,
    parts: u64,
}

impl<'a> Load<'a> {
    /// Takes away what is left of the campaign's claims.
    pub(super) async fn begin(rebuilder: &'a Rebuilder, begun: &'a Begun) -> Result<Self, RebuildError> {
        let mut load = Self { rebuilder, begun, parts: 0 };
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
        used: &[(u64, i64)],
        cancelled: &[(String, String)],
    ) -> Result<(), RebuildError> {
        self.parts += 1;
        let Begun { id, token, server, .. } = self.begun;
        let mut args: Vec<Value> = vec![token.as_str().into(), server.as_str().into()];
        args.extend([self.parts, claims.len() as u64, used.len() as u64].map(|number| number.to_string().into()));
        args.extend(claims.iter().flat_map(|(number, record)| [number.to_string().into(), record.as_str().into()]));
        args.extend(used.iter().flat_map(|(number, at)| [number.to_string().into(), format!("{at}\u{1f}").into()]));
        args.extend(cancelled.iter().flat_map(|(user, attempt)| [user.as_str().into(), attempt.as_str().into()]));
        let redis = &self.rebuilder.redis;
        let keys = redis.keys().of(id);
        let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.redemptions()];
        expect_ok(&Reply::parse(redis.call(&LOAD, id, keys, args).await?)?)
    }
}
