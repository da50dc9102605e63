//! What does it cost to write and check a ticket, and to sign and check a pass, and to draw an order?

mod support;

use std::hint::black_box;

use onrush::clock::Millis;
use onrush::config::Config;
use onrush::ids::{CampaignId, UserId};
use onrush::waiting::{Draw, Pass, PassKeys, Passes, Placed, Ticket, Tickets};

fn main() {
    let mut criterion = support::criterion();
    let mut config = Config::load(None).expect("the settings are well-formed");
    config.coupon.key_hex = "07".repeat(32);
    let keys = PassKeys::new(&config.waiting, &config.coupon).expect("there is a key to derive them from");
    let campaign: CampaignId = "WELCOME_001".parse().expect("letters, digits and an underscore");
    let user: UserId = "user-1".parse().expect("letters, digits and a hyphen");

    let tickets = Tickets::new(&keys);
    let placed = Placed { generation: 1, life: 1, number: 123_456, place: 654_321, ahead: Some(1_000) };
    let ticket = Ticket { campaign: campaign.clone(), user: user.clone(), placed };
    let text = tickets.write(&ticket);
    criterion.bench_function("ticket/write", |bencher| bencher.iter(|| tickets.write(black_box(&ticket))));
    criterion.bench_function("ticket/check", |bencher| {
        bencher.iter(|| assert!(tickets.check(black_box(&text), &campaign, &user).is_some()));
    });

    let now = Millis::now();
    let pass = Pass {
        campaign: campaign.clone(),
        user: user.clone(),
        generation: 1,
        life: 1,
        number: 123_456,
        expires_at: Millis(now.0 + 600_000),
    };
    let passes = Passes::new(&keys, 10_000);
    let text = passes.sign(&pass);
    criterion.bench_function("pass/sign", |bencher| bencher.iter(|| passes.sign(black_box(&pass))));
    criterion.bench_function("pass/check remembered", |bencher| {
        bencher.iter(|| assert!(passes.check(black_box(&text), &campaign, &user).is_ok()));
    });
    // Nothing is remembered where nothing may be.
    let forgetful = Passes::new(&keys, 0);
    criterion.bench_function("pass/check fresh", |bencher| {
        bencher.iter(|| assert!(forgetful.check(black_box(&text), &campaign, &user).is_ok()));
    });

    let draw = Draw::new(&[1; 32], &[2; 32], 1_000_000);
    criterion
        .bench_function("draw/place among a million", |bencher| bencher.iter(|| draw.place_of(black_box(777_777))));
    criterion.bench_function("draw/order of a million", |bencher| bencher.iter(|| black_box(&draw).order()));
    criterion.final_summary();
}
