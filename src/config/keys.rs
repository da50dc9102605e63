//! Are the keys keys? Those that coupon codes, passes and tickets are signed with, and the ids that they are known by.

use super::{Coupon, Limits, Waiting};

/// Names what is wrong with them.
pub(super) fn check(wrong: &mut Limits, coupon: &Coupon, waiting: &Waiting) {
    wrong.unless(is_key(&coupon.key_hex), "coupon.key_hex must be 64 hexadecimal digits");
    wrong.unless(
        coupon.old_keys.iter().all(|old| is_key(&old.key_hex) && old.key_id <= 15),
        "coupon.old_keys must have a key_id of 0 to 15 and 64 hexadecimal digits each",
    );
    wrong.unless(
        all_differ(coupon.old_keys.iter().map(|old| old.key_id).chain([coupon.key_id])),
        "coupon.key_id and those of coupon.old_keys must all differ: a code names its key by it",
    );
    wrong.unless(is_key_id(&waiting.pass_key_id), "waiting.pass_key_id must be 1 to 32 of A-Z a-z 0-9 . _ -");
    wrong.unless(
        waiting.pass_key_hex.is_empty() || is_key(&waiting.pass_key_hex),
        "waiting.pass_key_hex must be 64 hexadecimal digits or empty",
    );
    wrong.unless(
        waiting
            .pass_old_keys
            .iter()
            .all(|old| is_key_id(&old.key_id) && (old.key_hex.is_empty() || is_key(&old.key_hex))),
        "waiting.pass_old_keys must have a key_id as waiting.pass_key_id and 64 hexadecimal digits or none each",
    );
    wrong.unless(
        all_differ(waiting.pass_old_keys.iter().map(|old| &old.key_id).chain([&waiting.pass_key_id])),
        "waiting.pass_key_id and those of waiting.pass_old_keys must all differ: a pass names its key by it",
    );
}

fn is_key(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_key_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn all_differ<T: Ord>(ids: impl Iterator<Item = T>) -> bool {
    let mut ids: Vec<T> = ids.collect();
    ids.sort_unstable();
    ids.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::{CouponKey, WaitingKey};
    use super::*;

    fn wrong(change: impl FnOnce(&mut Coupon, &mut Waiting)) -> String {
        let mut coupon = Coupon { key_id: 1, key_hex: "07".repeat(32), old_keys: Vec::new() };
        let mut waiting = super::super::Config::load(None).unwrap().waiting;
        (waiting.pass_key_id, waiting.pass_key_hex) = ("2026-12.a_B".into(), String::new());
        waiting.pass_old_keys = vec![
            WaitingKey { key_id: "1".into(), key_hex: "0a".repeat(32) },
            WaitingKey { key_id: "2".into(), key_hex: String::new() },
        ];
        change(&mut coupon, &mut waiting);
        let mut wrong = Limits::default();
        check(&mut wrong, &coupon, &waiting);
        wrong.0.join("; ")
    }

    #[test]
    fn keys_of_32_bytes_with_ids_that_differ_are_fine() {
        assert_eq!(wrong(|_, _| {}), "");
        assert_eq!(wrong(|_, waiting| waiting.pass_key_hex = "Fe".repeat(32)), "");
        assert_eq!(wrong(|_, waiting| waiting.pass_key_id = "x".repeat(32)), "");
    }

    #[test]
    fn other_keys_and_ids_are_named() {
        for bad in ["7", &"07".repeat(31), &"07".repeat(33), &"0g".repeat(32)] {
            assert!(wrong(|_, waiting| waiting.pass_key_hex = bad.into()).starts_with("waiting.pass_key_hex"), "{bad}");
            let old = wrong(|_, waiting| waiting.pass_old_keys[0].key_hex = bad.into());
            assert!(old.starts_with("waiting.pass_old_keys"), "{bad}: {old}");
            assert!(wrong(|coupon, _| coupon.key_hex = bad.into()).starts_with("coupon.key_hex"), "{bad}");
        }
        for bad in ["", "a b", "a/b", "é", &"x".repeat(33)] {
            assert!(
                wrong(|_, waiting| waiting.pass_key_id = bad.into()).starts_with("waiting.pass_key_id must"),
                "{bad}"
            );
            let old = wrong(|_, waiting| waiting.pass_old_keys[1].key_id = bad.into());
            assert!(old.starts_with("waiting.pass_old_keys"), "{bad}: {old}");
        }
    }

    #[test]
    fn two_keys_of_one_id_are_named() {
        assert!(wrong(|_, waiting| waiting.pass_key_id = "1".into()).contains("must all differ: a pass"));
        assert!(wrong(|_, waiting| waiting.pass_old_keys[1].key_id = "1".into()).contains("must all differ: a pass"));
        let old = CouponKey { key_id: 1, key_hex: "08".repeat(32) };
        assert!(wrong(|coupon, _| coupon.old_keys.push(old)).contains("must all differ: a code"));
    }
}
