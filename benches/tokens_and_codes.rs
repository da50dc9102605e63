//! What does it cost to know a user by a token, and to write and read a coupon's code?

mod support;

use std::hint::black_box;
use std::sync::Arc;

use onrush::claim::{Coupon, Coupons};
use onrush::clock::Millis;
use onrush::config::Config;
use onrush::http::{Auth, Jwks, user_token};
use onrush::ids::UserId;
use tokio::runtime::Runtime;

fn main() {
    let mut criterion = support::criterion();
    let runtime = Runtime::new().expect("a runtime can be built");
    let mut settings = Config::load(None).expect("the settings are well-formed").auth;
    settings.hs256_secret = "a secret that only this bench has, 32 bytes or more".into();
    let jwks = runtime.block_on(Jwks::start(&settings)).expect("no key set is read");
    let auth = Auth::new(&settings, Arc::new(jwks), Millis::now);
    let user: UserId = "user-1".parse().expect("letters, digits and a hyphen");
    let token = user_token(&settings, &user, 3_600).expect("there is a secret");
    let coupons = Coupons::new(1, &[7; 32]);
    let coupon = Coupon { serial: 1, generation: 1, number: 123_456 };
    let code = coupons.write(coupon).expect("there is room for its numbers");

    criterion.bench_function("user_token/check", |bencher| {
        bencher.iter(|| {
            let found = futures::executor::block_on(auth.user_of(black_box(&token)));
            assert_eq!(found.as_ref(), Some(&user));
        });
    });
    criterion.bench_function("coupon_code/write", |bencher| bencher.iter(|| coupons.write(black_box(coupon))));
    criterion.bench_function("coupon_code/read", |bencher| {
        bencher.iter(|| assert_eq!(coupons.read(black_box(&code)), Some(coupon)));
    });
    criterion.final_summary();
}
