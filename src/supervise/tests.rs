//! What becomes of loops that end, in any way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::config;

fn supervisor() -> Supervisor {
    Supervisor::new(config::Supervisor { restart_ms: 1, restart_ms_max: 4, steady_ms: 1_000, restarts_max: 3 }, "")
}

const PLACE: (Stage, &str, Need) = (Stage::Watch, "it", Need::ToServe);

#[tokio::test]
async fn a_loop_that_ends_in_any_way_begins_anew_and_says_why() {
    let mut supervisor = supervisor();
    let board = supervisor.board();
    let began = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&began);
    supervisor.start(PLACE, move |stop| {
        let time = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match time {
                0 => Err("the first time"),
                1 => panic!("the second time"),
                2 => Ok(()),
                _ => {
                    stop.cancelled().await;
                    Ok(())
                }
            }
        }
    });
    while board.loops()[0].restarts < 3 || !board.missing().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(board.loops()[0].ended.as_deref(), Some("it ended by itself"));
    supervisor.stop().await;
    assert_eq!((began.load(Ordering::SeqCst), board.loops()[0].state), (4, LoopState::Stopped));
    assert_eq!(board.missing(), ["it"]);
}

#[tokio::test]
async fn a_loop_that_does_not_come_back_is_given_up_by_its_name() {
    let mut supervisor = supervisor();
    let board = supervisor.board();
    supervisor.start((Stage::Watch, "another", Need::Beside), async |stop: CancellationToken| stop.cancelled().await);
    supervisor.start(PLACE, async |_| -> () { panic!("for good") });
    assert_eq!(board.given_up().await, ("it", "panicked: for good".to_owned()));
    assert_eq!(board.loops()[1].restarts, 4);
    assert_eq!(board.loops()[0].restarts, 0);
    supervisor.stop().await;
}

#[tokio::test]
async fn a_loop_that_a_test_breaks_panics_where_it_stands() {
    let mut supervisor = supervisor();
    let board = supervisor.board();
    supervisor.start(PLACE, async |stop: CancellationToken| stop.cancelled().await);
    assert!(board.break_loop("it") && !board.break_loop("no such loop"));
    while board.restarts() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(board.loops()[0].ended.as_deref(), Some("panicked: a test broke this loop"));
    supervisor.stop().await;
}

#[tokio::test]
async fn stages_end_one_after_the_other_in_their_order() {
    let mut supervisor = supervisor();
    let order: Arc<std::sync::Mutex<Vec<Stage>>> = Arc::default();
    for stage in [Stage::Mend, Stage::Lane(1), Stage::Serve, Stage::Lane(0), Stage::Write, Stage::Relay] {
        let order = Arc::clone(&order);
        supervisor.start((stage, "it", Need::Beside), move |stop| {
            let order = Arc::clone(&order);
            async move {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(1)).await;
                order.lock().unwrap().push(stage);
            }
        });
    }
    supervisor.stop().await;
    let expected = [Stage::Serve, Stage::Relay, Stage::Write, Stage::Lane(0), Stage::Lane(1), Stage::Mend];
    assert_eq!(*order.lock().unwrap(), expected);
}
