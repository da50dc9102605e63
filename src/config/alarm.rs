//! Who is told when something is wrong.

use serde::Deserialize;

use super::{Limits, Thresholds};

macro_rules! alarm {
    ($($rule:ident),+ $(,)?) => {
        /// Who is told when something is wrong, and from which value on.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "config/default.toml documents each setting, once")]
        pub struct Alarm {
            pub every_ms: u64,
            pub window_ms: u64,
            pub pending_ms: u64,
            pub read_timeout_ms: u64,
            pub node_gone_ms: u64,
            pub webhook_url: String,
            pub runbook_url: String,
            pub timeout_ms: u64,
            pub tries_max: u32,
            $(pub $rule: Thresholds),+
        }

        impl Alarm {
            /// The names of all rules, in one order.
            pub const RULES: [&'static str; [$(stringify!($rule)),+].len()] = [$(stringify!($rule)),+];

            /// Each rule's thresholds, by its name.
            #[must_use]
            pub fn thresholds(&self) -> [(&'static str, &Thresholds); Self::RULES.len()] {
                [$((stringify!($rule), &self.$rule)),+]
            }

            /// Other thresholds for a rule. `false`: there is no such rule.
            pub fn set_thresholds(&mut self, rule: &str, thresholds: Thresholds) -> bool {
                match rule {
                    $(stringify!($rule) => self.$rule = thresholds,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

alarm!(
    dead_letters_waiting,
    contradictions,
    campaigns_lost,
    audits_broken,
    audits_late_s,
    outbox_percent,
    outbox_oldest_s,
    lag_records,
    lag_oldest_s,
    claims_failed_percent,
    redis_memory_percent,
    loops_restarted,
    workers_gone_s,
    feed_outbox_waiting_s,
    feed_outbox_failed,
    feed_unmended,
);

impl Alarm {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("alarm.every_ms", self.every_ms, 50..=60_000);
        is.within("alarm.window_ms", self.window_ms, 50..=86_400_000);
        is.within("alarm.pending_ms", self.pending_ms, 0..=3_600_000);
        is.within("alarm.read_timeout_ms", self.read_timeout_ms, 50..=60_000);
        is.within("alarm.node_gone_ms", self.node_gone_ms, 500..=3_600_000);
        is.within("alarm.timeout_ms", self.timeout_ms, 100..=60_000);
        is.within("alarm.tries_max", self.tries_max, 1..=1_000);
        for (name, thresholds) in self.thresholds() {
            is.within(&format!("alarm.{name}.caution"), thresholds.caution, 1..=thresholds.critical);
        }
    }
}
