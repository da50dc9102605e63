//! What is wrong with a sale? It is judged afterwards, by the answers and by what is in the store, never by what the
//! strategy says of itself.
//!
//! - A unit is a number from 1 to the stock. A claim whose number is beyond that, or is somebody else's too, has no unit.
//! - Who was refused, or got a higher number, although somebody who arrived later got a unit, or a lower number, was
//!   passed over.
//! - A user whose request was cut off was told nothing and can contradict nothing; what the store has of them counts.

use std::collections::{HashMap, HashSet};

/// What was decided for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// One unit, of this number.
    Number(u64),
    /// No unit is left.
    SoldOut,
    /// Nothing but that it did not work: a lock that was not to be had, tries that ran out, an error.
    GaveUp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The place of the request among all, in the order in which they were handed in.
    pub arrival: u64,
    /// Who asked.
    pub user: String,
    /// What came back.
    pub told: Decision,
}

/// A claim, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sale {
    /// Whose it is.
    pub user: String,
    /// Its number.
    pub number: u64,
}

/// All there is to know of a sale.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Units on offer.
    pub stock: u64,
    /// It was stopped while units were left, and would have gone on selling.
    pub was_cut_off: bool,
    /// Every answer, in any order.
    pub heard: Vec<Heard>,
    /// Every claim in the store, in any order.
    pub sales: Vec<Sale>,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Claims, told or recorded, that have no unit to themselves.
    pub oversold: u64,
    /// Units left although users were refused; where it was cut off, although they heard that none were.
    pub undersold: u64,
    /// Users who were passed over.
    pub out_of_order: u64,
    /// Users who were promised a number that the store does not have as theirs, or has besides another.
    pub unrecorded: u64,
}

impl Faults {
    /// Whether exactly the stock was sold, each unit to one user, and every promise is recorded.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.oversold == 0 && self.undersold == 0 && self.unrecorded == 0
    }
}

/// Judges it.
#[must_use]
pub fn judge(history: &History) -> Faults {
    let promised = history.heard.iter().filter_map(|heard| match heard.told {
        Decision::Number(number) => Some(Sale { user: heard.user.clone(), number }),
        Decision::SoldOut | Decision::GaveUp => None,
    });
    let promised: HashSet<Sale> = promised.collect();
    // A row that is there twice is two claims; one that was promised and is there is one.
    let missing: Vec<&Sale> = {
        let recorded: HashSet<&Sale> = history.sales.iter().collect();
        promised.iter().filter(|sale| !recorded.contains(sale)).collect()
    };
    let claims = || history.sales.iter().chain(missing.iter().copied());
    let units: HashSet<u64> =
        claims().map(|sale| sale.number).filter(|number| (1..=history.stock).contains(number)).collect();
    let units = units.len() as u64;
    let is_refusal = |told: Decision| match told {
        Decision::Number(_) => false,
        Decision::SoldOut => true,
        Decision::GaveUp => !history.was_cut_off,
    };
    let refused = history.heard.iter().filter(|heard| is_refusal(heard.told)).count() as u64;
    Faults {
        oversold: claims().count() as u64 - units,
        undersold: (history.stock - units).min(refused),
        out_of_order: passed_over(&history.heard),
        unrecorded: missing.len() as u64 + second_claims(&history.sales),
    }
}

/// Claims in the store of users who have one already: one a user is the limit.
fn second_claims(sales: &[Sale]) -> u64 {
    let mut of_user: HashMap<&str, u64> = HashMap::with_capacity(sales.len());
    for sale in sales {
        *of_user.entry(&sale.user).or_default() += 1;
    }
    of_user.values().map(|count| count - 1).sum()
}

/// Users for whom somebody later did better.
fn passed_over(heard: &[Heard]) -> u64 {
    let place = |told: Decision| match told {
        Decision::Number(number) => number,
        Decision::SoldOut | Decision::GaveUp => u64::MAX,
    };
    let mut by_arrival: Vec<(u64, u64)> = heard.iter().map(|it| (it.arrival, place(it.told))).collect();
    by_arrival.sort_unstable();
    let (mut best_later, mut passed_over) = (u64::MAX, 0);
    for (_, place) in by_arrival.into_iter().rev() {
        if best_later < place {
            passed_over += 1;
        }
        best_later = best_later.min(place);
    }
    passed_over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(user: u64, number: u64) -> Sale {
        Sale { user: format!("user-{user}"), number }
    }

    /// Users 0, 1, ... arrived in this order and were told this; the store has what they were told.
    fn history(stock: u64, told: &[Decision]) -> History {
        let heard =
            told.iter().zip(0..).map(|(told, arrival)| Heard { arrival, user: format!("user-{arrival}"), told: *told });
        let sales = told.iter().zip(0..).filter_map(|(told, user)| match told {
            Decision::Number(number) => Some(sale(user, *number)),
            Decision::SoldOut | Decision::GaveUp => None,
        });
        History { stock, was_cut_off: false, heard: heard.collect(), sales: sales.collect() }
    }

    fn numbers(numbers: &[u64]) -> Vec<Decision> {
        numbers.iter().map(|number| if *number == 0 { Decision::SoldOut } else { Decision::Number(*number) }).collect()
    }

    #[test]
    fn a_sale_in_order_to_the_last_unit_is_free_of_faults() {
        assert_eq!(judge(&history(3, &numbers(&[1, 2, 3, 0, 0]))), Faults::default());
        assert_eq!(judge(&history(3, &numbers(&[1, 2]))), Faults::default(), "nobody was refused the third");
        assert_eq!(judge(&history(3, &[])), Faults::default());
    }

    #[test]
    fn a_number_that_two_have_and_one_beyond_the_stock_are_oversold() {
        assert_eq!(judge(&history(2, &numbers(&[1, 1, 2, 2, 2, 0]))).oversold, 3);
        assert_eq!(judge(&history(2, &numbers(&[1, 2, 3, 4]))).oversold, 2);
        assert!(!judge(&history(2, &numbers(&[1, 2, 3]))).is_exact());
    }

    #[test]
    fn units_that_are_left_count_only_as_far_as_somebody_was_refused() {
        assert_eq!(judge(&history(5, &numbers(&[1, 2, 0]))).undersold, 1);
        assert_eq!(
            judge(&history(3, &[Decision::Number(1), Decision::GaveUp, Decision::GaveUp, Decision::GaveUp])).undersold,
            2
        );
        assert_eq!(judge(&history(2, &[Decision::Number(1), Decision::GaveUp, Decision::Number(2)])).undersold, 0);
    }

    #[test]
    fn whoever_was_refused_or_served_later_than_a_later_one_was_passed_over() {
        assert_eq!(judge(&history(3, &numbers(&[2, 1, 3]))).out_of_order, 1);
        assert_eq!(judge(&history(3, &numbers(&[3, 2, 1]))).out_of_order, 2);
        assert_eq!(judge(&history(2, &numbers(&[0, 1, 0, 2, 0]))).out_of_order, 2);
        assert_eq!(judge(&history(9, &numbers(&[1, 1, 2, 2]))).out_of_order, 0, "the same number is another fault");
    }

    #[test]
    fn the_order_is_that_of_arrival_and_not_that_of_the_answers() {
        let mut late = history(3, &numbers(&[1, 2, 3]));
        late.heard.reverse();
        assert_eq!(judge(&late).out_of_order, 0);
    }

    #[test]
    fn a_promise_that_the_store_does_not_know_counts_and_so_does_a_second_claim() {
        let mut lost = history(2, &numbers(&[1, 2]));
        lost.sales.pop();
        assert_eq!(judge(&lost), Faults { unrecorded: 1, ..Faults::default() });
        let mut doubled = history(3, &numbers(&[1, 2]));
        doubled.sales.push(sale(0, 3));
        assert_eq!(judge(&doubled), Faults { unrecorded: 1, ..Faults::default() });
    }

    #[test]
    fn what_was_sold_to_users_who_were_cut_off_is_sold() {
        let mut cut_off = history(2, &numbers(&[1, 2]));
        cut_off.was_cut_off = true;
        cut_off.sales.extend([sale(7, 2), sale(8, 3)]);
        assert_eq!(judge(&cut_off), Faults { oversold: 2, ..Faults::default() });
    }

    #[test]
    fn units_left_at_a_cut_count_only_if_somebody_heard_that_there_are_none() {
        let mut cut_off = history(5, &[Decision::Number(1), Decision::GaveUp]);
        assert_eq!(judge(&cut_off).undersold, 1);
        cut_off.was_cut_off = true;
        assert_eq!(judge(&cut_off).undersold, 0);
        cut_off.heard[1].told = Decision::SoldOut;
        assert_eq!(judge(&cut_off).undersold, 1);
    }
}
