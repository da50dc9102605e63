//! What is hand-written and lock-free, under every order of execution that memory allows: `make models`.
//!
//! loom wants its own atomics in the place of the standard library's, so these files are compiled here a second time,
//! with `--cfg onrush_loom`, and nothing else of the program is. Without it there is nothing to explore, and the tests
//! beside the code are all that runs.

#![allow(dead_code, unreachable_pub, reason = "the files have their public face elsewhere")]

#[path = "../../../src/coalescer/in_flight.rs"]
mod in_flight;
#[path = "../../../src/campaign/latch.rs"]
mod latch;

#[cfg(test)]
mod tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use loom::thread;

    use super::in_flight::InFlight;
    use super::latch::Latch;

    const LEASE: u64 = 100;

    /// A unit is given back in epoch 2 while a reply of epoch 1 ("nothing is left") is still being read. Whoever comes
    /// after the give-back was answered is not refused.
    #[test]
    fn a_late_reply_does_not_shut_what_was_reopened() {
        loom::model(|| {
            let (latch, answered) = (Arc::new(Latch::default()), Arc::new(AtomicBool::new(false)));
            let (late, give_back) = (Arc::clone(&latch), Arc::clone(&latch));
            let reply = thread::spawn(move || late.sold_out(1, 10, LEASE));
            let told = Arc::clone(&answered);
            let reopening = thread::spawn(move || {
                give_back.hear(2);
                told.store(true, Ordering::Release);
            });
            let comes_after = answered.load(Ordering::Acquire);
            let refused = latch.refuses(20, LEASE);
            assert!(!(comes_after && refused), "refused although a unit had come back");
            reply.join().unwrap();
            reopening.join().unwrap();
            assert!(!latch.is_shut(20, LEASE));
        });
    }

    /// Sold out, reopened, sold out again, while the first reply is still being read: after the reopening was answered
    /// only the second reply shuts it.
    #[test]
    fn only_the_reply_of_its_own_epoch_shuts_it_again() {
        loom::model(|| {
            let latch = Arc::new(Latch::default());
            let (answered, sold_again) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (late, now) = (Arc::clone(&latch), Arc::clone(&latch));
            let (told, sold) = (Arc::clone(&answered), Arc::clone(&sold_again));
            let reply = thread::spawn(move || late.sold_out(1, 10, LEASE));
            let reopening = thread::spawn(move || {
                now.hear(2);
                told.store(true, Ordering::Release);
                sold.store(true, Ordering::Release);
                now.sold_out(2, 50, LEASE);
            });
            let comes_after = answered.load(Ordering::Acquire);
            let refused = latch.is_shut(60, LEASE);
            let is_true = sold_again.load(Ordering::Acquire);
            assert!(!(comes_after && refused) || is_true, "refused before it was sold out again");
            reply.join().unwrap();
            reopening.join().unwrap();
            assert!(latch.is_shut(120, LEASE), "the second reply counts, in whatever order they came");
        });
    }

    /// In the second half of a lease exactly one of those who come at once is sent to ask.
    #[test]
    fn one_is_sent_to_ask() {
        loom::model(|| {
            let (latch, sent) = (Arc::new(Latch::default()), Arc::new(AtomicUsize::new(0)));
            latch.sold_out(1, 10, LEASE);
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let (latch, sent) = (Arc::clone(&latch), Arc::clone(&sent));
                    thread::spawn(move || {
                        if !latch.refuses(70, LEASE) {
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            callers.into_iter().for_each(|caller| caller.join().unwrap());
            assert_eq!(sent.load(Ordering::Relaxed), 1);
        });
    }

    /// However they come and go, no more are inside than may be, and all room is there again at the end.
    #[test]
    fn no_more_are_in_flight_than_may_be() {
        loom::model(|| {
            let (in_flight, inside) = (Arc::new(InFlight::new(1)), Arc::new(AtomicUsize::new(0)));
            let visitors: Vec<_> = (0..2)
                .map(|_| {
                    let (in_flight, inside) = (Arc::clone(&in_flight), Arc::clone(&inside));
                    thread::spawn(move || {
                        if in_flight.enter() {
                            assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0, "two inside");
                            inside.fetch_sub(1, Ordering::AcqRel);
                            in_flight.leave(1);
                        }
                    })
                })
                .collect();
            visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
            assert!(in_flight.enter(), "there is room again");
        });
    }
}
