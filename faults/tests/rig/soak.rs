//! A short soak: all that a long one has, for some seconds.

use std::time::Duration;

use faults::soak::{Scale, soak};

use crate::support::{run, stores};

#[test]
fn good_clients_are_served_while_others_do_not_read_and_send_rubbish_in_mild_weather() {
    run(async {
        let stores = stores().await;
        let scale = Scale { seed: 3, time: Duration::from_secs(15), connections: 150 };
        let outcome = soak(&stores, scale).await.unwrap();
        let text = outcome.text("the test");
        assert!(outcome.is_well(), "{text}\nlogs: {:?}", outcome.folder);
        let count = |of: &str| outcome.counts.iter().filter(|(name, _)| name.starts_with(of)).map(|(_, n)| n).sum();
        for what in ["good answers: claim 201", "good answers: claim 409", "good answers: wait 200", "rubbish: "] {
            let count: u64 = count(what);
            assert!(count > 0, "{what}: none\n{text}");
        }
        let closed: u64 = count("connections of who does not read that a node closed");
        let weather: u64 = count("weather: ");
        let loops: u64 = count("looks at a loop");
        assert!(closed > 0 && weather > 0 && loops > 0, "{text}");
        assert_eq!(outcome.memory.len(), 5, "each node's memory is looked at, and this program's");
    });
}
