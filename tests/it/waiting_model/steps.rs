//! What people and operators may do in a waiting room, at random.

use proptest::prelude::*;

use super::room::{Limits, OPENS_AT, Terms};

/// The window of the pace; it stays the same, whatever else is changed.
pub(super) const EVERY_MS: i64 = 1_000;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Join(Vec<u8>),
    Look(u8),
    Leave(u8),
    Claim(Vec<(u8, u8, Shown)>),
    /// One of those who are inside looks, and claims with what they are shown.
    Serve(u8, u8),
    GiveBack(u8),
    LetIn(u8),
    Admit,
    Stop(bool),
    Put(Edit),
    /// The room's keys go, and it begins anew.
    Vanish,
    /// The call before, once more.
    Again,
    Wait(i64),
    SetBack(i64),
}

/// The pass that comes with a claim.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    Own,
    TheOneBefore,
    Another(u8),
    None,
}

#[derive(Debug, Clone)]
pub(super) enum Edit {
    Admit(i64),
    Cap(i64),
    Reserve(i64),
    Raise(i64),
    Pause(bool),
}

pub(super) fn user() -> impl Strategy<Value = u8> {
    0..16_u8
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let shown = prop_oneof![
        8 => Just(Shown::Own),
        1 => Just(Shown::TheOneBefore),
        1 => user().prop_map(Shown::Another),
        1 => Just(Shown::None),
    ];
    let edit = prop_oneof![
        3 => (0..5_i64).prop_map(Edit::Admit),
        3 => (1..7_i64).prop_map(Edit::Cap),
        2 => (0..4_i64).prop_map(Edit::Reserve),
        3 => (1..4_i64).prop_map(Edit::Raise),
        1 => Just(Edit::Pause(true)),
        4 => Just(Edit::Pause(false)),
    ];
    prop_oneof![
        40 => prop::collection::vec(user(), 1..8).prop_map(Step::Join),
        20 => user().prop_map(Step::Look),
        15 => user().prop_map(Step::Leave),
        30 => prop::collection::vec((user(), 0..30_u8, shown), 1..4).prop_map(Step::Claim),
        50 => (user(), 0..30_u8).prop_map(|(index, attempt)| Step::Serve(index, attempt)),
        25 => (1..20_u8).prop_map(Step::GiveBack),
        8 => user().prop_map(Step::LetIn),
        40 => Just(Step::Admit),
        3 => Just(Step::Stop(true)),
        6 => Just(Step::Stop(false)),
        12 => edit.prop_map(Step::Put),
        1 => Just(Step::Vanish),
        10 => Just(Step::Again),
        30 => (1..700_i64).prop_map(Step::Wait),
        // A multiple of the window, so that its ends are met.
        15 => (1..5_i64).prop_map(|count| Step::Wait(count * EVERY_MS / 2)),
        6 => (1..3_000_i64).prop_map(Step::SetBack),
    ]
}

pub(super) fn spec() -> impl Strategy<Value = (Terms, Limits)> {
    let ends = (0..2_i64, prop::sample::select(vec![5_000_i64, 100_000]));
    let settings = (0..5_i64, 0..7_i64, 0..3_i64, 2..12_i64, 1..3_i64);
    let few = || prop::sample::select(vec![1_usize, 2, 100, 100]);
    (settings, few(), few(), prop::sample::select(vec![9_usize, 100, 100]), ends).prop_map(
        |((admit, active_max, reserve, stock, limit), admit_at_once, expire, places, (spare, open_for))| {
            let active_max = if admit == 0 { active_max.max(1) } else { active_max };
            let spec = Terms { stock, limit, admit, active_max, reserve, every_ms: EVERY_MS, ..Terms::default() };
            let times = Terms { pass_ttl_ms: 4_000, claim_pass_within_ms: 2_000, ..spec };
            let limits = Limits { admit: admit_at_once, expire, places };
            (Terms { user_max: limit + spare, closes_at: OPENS_AT + open_for, ..times }, limits)
        },
    )
}
