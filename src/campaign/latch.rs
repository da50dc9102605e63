//! What does this node know of a stock that is sold out? Enough to refuse without asking, for a moment.
//!
//! - A reply that says "nothing is left" holds until a unit comes back. Whatever brings one back raises the campaign's
//!   epoch, in the script that does it. So the reply is true of its epoch, and of no later one.
//! - Messages get lost. So it is a lease, too: it ends a fixed time after the question was *sent*, which is before Redis
//!   answered it. A unit that came back later than the answer is offered here within one lease, heard of or not.
//! - Each word only grows, so no order of arrival can bring an old truth back. Two are written in one order and read in
//!   the other: who sees a lease sees at least the epoch that it was given for.

#[cfg(onrush_loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(onrush_loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// All times are in us, on one clock that never runs back; epochs are those of all generations, in one order.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    /// The highest epoch that this node has heard of.
    heard: AtomicU64,
    /// The highest epoch in which a reply said that nothing was left.
    sold_out_in: AtomicU64,
    /// When the youngest question was sent that was answered so.
    asked_at: AtomicU64,
    /// Until when nobody needs to ask again.
    ask_again_at: AtomicU64,
}

impl Latch {
    /// There is news of the campaign, of this epoch. What was known of an earlier one holds no longer.
    pub(crate) fn hear(&self, epoch: u64) {
        self.heard.fetch_max(epoch, Ordering::AcqRel);
    }

    /// A question that was sent at this time was answered: in this epoch, nothing is left.
    pub(crate) fn sold_out(&self, epoch: u64, asked_at: u64, lease: u64) {
        self.hear(epoch);
        // The epoch first, then the lease: see `is_shut`.
        self.sold_out_in.fetch_max(epoch, Ordering::AcqRel);
        self.asked_at.fetch_max(asked_at, Ordering::AcqRel);
        // A hint, and no more: who asks too early or too late asks in vain or leaves everybody to ask.
        self.ask_again_at.fetch_max(asked_at + lease / 2, Ordering::Relaxed);
    }

    /// Whether it is certain that nothing is left, as far as a lease of this length says so.
    pub(crate) fn is_shut(&self, now: u64, lease: u64) -> bool {
        // Never asked: there is no lease. (Time begins before the first question.)
        let asked_at = self.asked_at.load(Ordering::Acquire);
        let sold_out_in = self.sold_out_in.load(Ordering::Acquire);
        // Last, so that nothing is missed that was heard before this call.
        let heard = self.heard.load(Ordering::Acquire);
        asked_at > 0 && now < asked_at + lease && sold_out_in == heard
    }

    /// The same, for one who could ask: in the second half of a lease one caller in a while is sent to ask, so that the
    /// others need not.
    pub(crate) fn refuses(&self, now: u64, lease: u64) -> bool {
        if !self.is_shut(now, lease) {
            return false;
        }
        let ask_again_at = self.ask_again_at.load(Ordering::Relaxed);
        let is_sent = now >= ask_again_at
            && self
                .ask_again_at
                .compare_exchange(ask_again_at, now + lease / 4, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        !is_sent
    }
}

#[cfg(all(test, not(onrush_loom)))]
mod tests {
    use super::*;

    const LEASE: u64 = 100_000;

    #[test]
    fn it_refuses_for_one_lease_from_when_the_question_was_sent() {
        let latch = Latch::default();
        assert!(!latch.is_shut(5, LEASE), "nobody has asked yet");
        latch.sold_out(7, 1_000, LEASE);
        assert!(latch.is_shut(1_001, LEASE));
        assert!(latch.is_shut(100_999, LEASE));
        assert!(!latch.is_shut(101_000, LEASE));
    }

    #[test]
    fn news_of_a_later_epoch_ends_it_and_a_late_reply_of_an_earlier_one_does_not_bring_it_back() {
        let latch = Latch::default();
        latch.sold_out(7, 1_000, LEASE);
        latch.hear(8);
        assert!(!latch.is_shut(1_001, LEASE));
        latch.sold_out(7, 2_000, LEASE);
        assert!(!latch.is_shut(2_001, LEASE), "a reply that was read after the news");
        latch.sold_out(8, 3_000, LEASE);
        assert!(latch.is_shut(3_001, LEASE));
    }

    #[test]
    fn a_slow_reply_does_not_shorten_a_lease_and_the_same_news_again_does_not_end_it() {
        let latch = Latch::default();
        latch.sold_out(7, 2_000, LEASE);
        latch.sold_out(7, 1_000, LEASE);
        latch.hear(7);
        latch.hear(3);
        assert!(latch.is_shut(101_999, LEASE));
    }

    #[test]
    fn in_its_second_half_one_in_a_while_is_sent_to_ask() {
        let latch = Latch::default();
        latch.sold_out(7, 1_000, LEASE);
        let sent = |now| (0..100).filter(|_| !latch.refuses(now, LEASE)).count();
        assert_eq!(sent(50_000), 0);
        assert_eq!(sent(51_000), 1);
        assert_eq!(sent(60_000), 0);
        assert_eq!(sent(76_000), 1, "the first one's answer is a quarter of a lease late");
        latch.sold_out(7, 76_000, LEASE);
        assert_eq!(sent(101_500), 0);
        assert_eq!(sent(126_000), 1);
    }

    #[test]
    fn without_a_lease_nobody_is_refused() {
        let latch = Latch::default();
        latch.sold_out(7, 1_000, 0);
        assert!(!latch.is_shut(1_000, 0));
    }
}
