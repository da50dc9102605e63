//! What does this program know of each visitor? A few bytes each: there are a million.

use bench::texts::Texts;

/// What a visitor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Has not been given a place yet.
    Outside,
    /// Waits, and asks when told to.
    Waits,
    /// Is inside, and lets the pass lapse.
    Inside,
    /// Has a unit.
    Claimed,
    /// Left while waiting, or was inside already when the word came.
    LeftQueue,
    /// Left from inside.
    LeftInside,
    /// Was told that their time is over.
    Expired,
}

/// All visitors, by their number.
pub(crate) struct People {
    states: Vec<State>,
    /// Places as they were told; 0: none was, since whoever is admitted on joining hears of no place.
    places: Vec<u32>,
    /// The last they were told.
    pub(crate) tickets: Texts,
    /// A bit for each place that was told.
    taken: Vec<u64>,
}

impl People {
    /// Nobody has come yet.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            states: vec![State::Outside; count],
            places: vec![0; count],
            tickets: Texts::new(count),
            taken: vec![0; count / 64 + 1],
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.states.len()
    }

    /// What one does.
    pub(crate) fn state(&self, user: u32) -> State {
        self.states[user as usize]
    }

    /// Does something else from now on.
    pub(crate) fn set(&mut self, user: u32, state: State) {
        self.states[user as usize] = state;
    }

    /// The place that one was told.
    pub(crate) fn place(&self, user: u32) -> u32 {
        self.places[user as usize]
    }

    /// Was told this place. What is wrong with it: another before, or another's.
    pub(crate) fn told_place(&mut self, user: u32, place: u64) -> Result<(), String> {
        let before = self.places[user as usize];
        if u64::from(before) == place && place > 0 {
            return Ok(());
        }
        let all = self.count();
        let number = u32::try_from(place).ok().filter(|_| place > 0 && place <= all as u64);
        let Some(number) = number else { return Err(format!("the place {place} among {all}")) };
        if before > 0 {
            return Err(format!("the place {before} became {place}"));
        }
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if self.taken[word] & bit != 0 {
            return Err(format!("the place {place} was given twice"));
        }
        self.taken[word] |= bit;
        self.places[user as usize] = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_visitors_and_stays_theirs() {
        let mut people = People::new(100);
        people.told_place(0, 100).unwrap();
        people.told_place(0, 100).unwrap();
        people.told_place(1, 64).unwrap();
        assert_eq!((people.place(0), people.place(1), people.place(2)), (100, 64, 0));
        for (user, place, why) in [
            (2, 64, "the place 64 was given twice"),
            (0, 7, "the place 100 became 7"),
            (3, 0, "the place 0 among 100"),
            (3, 101, "the place 101 among 100"),
        ] {
            assert_eq!(people.told_place(user, place).unwrap_err(), why);
        }
    }
}
