//! Invariant 3: a node decides in the order of arrival, however the requests travel.

use std::sync::Arc;

use futures::future::join_all;
use onrush::campaign::{Campaigns, Spec};
use onrush::claim::{Answer, Claims, Coupons, Request};
use onrush::database;
use onrush::ids::AttemptId;
use onrush::redis::Redis;
use onrush::waiting::WaitingRooms;

use crate::support::installation::Installation;
use crate::support::names;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_go_in_the_order_of_arrival() {
    let config = Installation::with(|config| config.claim.batch_max = 64).await.config;
    let redis = Arc::new(Redis::connect(&config.redis).await.unwrap());
    let tables = database::open(&config.postgres).unwrap();
    let campaigns = Arc::new(Campaigns::new(Arc::clone(&redis), tables, config.campaign.clone()));
    let draft = Spec::new(names::unique("order").parse().unwrap(), "In order", 1_000);
    let (_, campaign) = campaigns.create(draft).await.unwrap();
    let campaign = campaign.unwrap();
    let waiting = WaitingRooms::new(Arc::clone(&redis), campaigns, config.waiting.clone());
    let claims = Claims::new(redis, &config.claim, Coupons::new(1, &[7; 32]), Arc::new(waiting));

    // Called one after the other; awaited in another order, by many tasks.
    let arrivals: Vec<_> = (0..1_200)
        .map(|user| {
            let user = format!("user-{user}").parse().unwrap();
            claims.claim(&campaign, Request { attempt: AttemptId::random(), user, pass: None })
        })
        .collect();
    let mut tasks: Vec<_> = arrivals.into_iter().map(tokio::spawn).collect();
    tasks.reverse();
    let mut answers: Vec<Answer> = join_all(tasks).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    answers.reverse();
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Answer::Issued(claim) => assert_eq!(claim.number, index as u64 + 1),
            Answer::SoldOut => assert!(index >= 1_000, "refused before units were gone: {index}"),
            other => panic!("{other:?}"),
        }
    }
}
