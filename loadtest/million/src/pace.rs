//! Was anybody let in too soon, or too many at a time? Every admission with its time on Redis' clock, put together from looks
//! at the pace's list, and held against the campaign's settings.

/// Admissions of one script call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    /// When, in ms by Redis' clock.
    pub(crate) at_ms: u64,
    /// How many.
    pub(crate) count: u64,
}

/// All admissions so far.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    all: Vec<Admission>,
    sum: u64,
    /// Admissions that no list held any more when it was looked at, or that never were in one.
    pub(crate) unseen: u64,
}

impl Admissions {
    /// A look: the list as it was, and how many had been admitted. What is new in the list is its end, as long as the
    /// difference.
    pub(crate) fn look(&mut self, list: &str, admitted: u64) {
        let mut owed = admitted.saturating_sub(self.sum);
        let mut new = Vec::new();
        for entry in list.split(',').rev() {
            let Some(admission) = parse(entry).filter(|admission| admission.count <= owed) else { break };
            owed -= admission.count;
            new.push(admission);
        }
        self.all.extend(new.into_iter().rev());
        self.unseen += owed;
        self.sum = admitted.max(self.sum);
    }

    /// The most that were admitted in any window of this length: it ends with an admission and is open at its beginning.
    pub(crate) fn most_within(&self, every_ms: u64) -> u64 {
        let (mut most, mut sum, mut first) = (0, 0, 0);
        for last in &self.all {
            sum += last.count;
            while self.all[first].at_ms + every_ms <= last.at_ms {
                sum -= self.all[first].count;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }
}

fn parse(entry: &str) -> Option<Admission> {
    let (at, count) = entry.split_once(':')?;
    Some(Admission { at_ms: at.parse().ok()?, count: count.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admissions_are_put_together_from_looks_that_overlap() {
        let mut admissions = Admissions::default();
        admissions.look("", 0);
        admissions.look("100:3,100:3", 6);
        admissions.look("100:3,100:3", 6);
        admissions.look("100:3,100:3,100:3,250:1", 10);
        admissions.look("250:1,400:9", 19);
        let at = |at_ms, count| Admission { at_ms, count };
        assert_eq!(admissions.all, [at(100, 3), at(100, 3), at(100, 3), at(250, 1), at(400, 9)]);
        assert_eq!(admissions.unseen, 0);
    }

    #[test]
    fn what_no_list_held_is_known_to_be_missing() {
        let mut admissions = Admissions::default();
        admissions.look("500:2", 7);
        assert_eq!(admissions.unseen, 5);
    }

    #[test]
    fn the_fullest_window_is_found_wherever_it_lies() {
        let mut admissions = Admissions::default();
        admissions.look("0:5,900:5,1000:5,1899:5,2000:1", 21);
        assert_eq!(admissions.most_within(1_000), 15, "900, 1000 and 1899");
        assert_eq!(admissions.most_within(100), 5);
        assert_eq!(admissions.most_within(10_000), 21);
        assert_eq!(Admissions::default().most_within(1_000), 0);
    }
}
