//! Who asks for what, and over which connection?

use std::time::Duration;

/// Who asks for what.
pub(crate) struct Plan {
    /// The campaign's id.
    pub(crate) campaign: String,
    /// How many users ask.
    pub(crate) users: u32,
    /// How many coupons there are.
    pub(crate) stock: u32,
    /// Connections that may be open.
    pub(crate) connections: u32,
    /// Requests of each user.
    pub(crate) per_user_tries: u32,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// How long the auditor may say `settling`.
    pub(crate) audit_wait: Duration,
}

impl Plan {
    /// How many requests are sent.
    pub(crate) fn requests(&self) -> u64 {
        u64::from(self.users) * u64::from(self.per_user_tries)
    }

    /// How many connections are opened: none that would carry nothing.
    pub(crate) fn connections_used(&self) -> u32 {
        u32::try_from(self.requests()).map_or(self.connections, |requests| requests.min(self.connections))
    }

    /// The users whose requests one connection carries, in order. Requests are dealt like cards, a user's tries one
    /// after another, so that they lie on different connections and are sent at about the same time.
    pub(crate) fn users_of(&self, connection: u32) -> impl Iterator<Item = u32> + use<> {
        let (requests, tries) = (self.requests(), u64::from(self.per_user_tries));
        let dealt = (u64::from(connection)..requests).step_by(self.connections_used() as usize);
        dealt.map(move |request| u32::try_from(request / tries).expect("it is below the number of users"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(users: u32, connections: u32, per_user_tries: u32) -> Plan {
        let (timeout, audit_wait) = (Duration::from_secs(1), Duration::from_secs(1));
        Plan { campaign: "c".into(), users, stock: 1, connections, per_user_tries, timeout, audit_wait }
    }

    #[test]
    fn users_are_dealt_in_order_and_nobody_is_left_out() {
        let plan = plan(10, 4, 1);
        let hands: Vec<Vec<u32>> = (0..4).map(|connection| plan.users_of(connection).collect()).collect();
        assert_eq!(hands, [vec![0, 4, 8], vec![1, 5, 9], vec![2, 6], vec![3, 7]]);
    }

    #[test]
    fn the_tries_of_a_user_lie_on_different_connections() {
        let plan = plan(5, 4, 3);
        for user in 0..5 {
            let carriers = (0..4).filter(|connection| plan.users_of(*connection).filter(|u| *u == user).count() == 1);
            assert_eq!(carriers.count(), 3);
        }
    }

    #[test]
    fn no_connection_is_opened_for_nothing() {
        assert_eq!(plan(3, 512, 1).connections_used(), 3);
        assert_eq!(plan(1_000_000, 512, 100).connections_used(), 512);
    }
}
