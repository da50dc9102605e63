//! Nobody is admitted beyond the cap or the pace.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Judge;
use crate::request::Asked;

/// What a visitor who waits is told may be so old.
const TOLD_LATE: Duration = Duration::from_secs(1);

/// When a visitor was inside, as far as they know.
#[derive(Clone, Copy)]
struct Visit {
    /// They were still waiting when they asked then.
    after: Duration,
    /// They were inside when they heard so.
    by: Duration,
    /// They may have left from then on.
    until: Duration,
}

impl Judge<'_> {
    pub(super) fn admissions_are_within_cap_and_pace(&mut self) {
        let Some((admit, every_ms, active_max)) = self.evidence.room else { return };
        if self.forgot() {
            // Places begin anew, and so does the pace.
            return;
        }
        let visits = self.visits();
        for at in visits.iter().map(|visit| visit.by) {
            let inside = visits.iter().filter(|visit| visit.by <= at && visit.until > at).count() as u64;
            if inside > active_max {
                return self
                    .say(format!("invariant 9: {inside} visitors are inside at {at:?}, the cap is {active_max}"));
            }
        }
        let window = Duration::from_millis(every_ms);
        for first in visits.iter().map(|visit| visit.after) {
            let admitted =
                visits.iter().filter(|visit| visit.after >= first && visit.by < first + window).count() as u64;
            if admitted > admit {
                return self.say(format!(
                    "invariant 9: {admitted} were admitted within {window:?} from {first:?} on, the pace is {admit}"
                ));
            }
        }
    }

    fn visits(&self) -> Vec<Visit> {
        let mut visits: BTreeMap<&str, (bool, Duration, Option<Visit>)> = BTreeMap::new();
        for event in &self.evidence.events {
            let (came_before, waited, visit) = visits.entry(&event.user).or_default();
            let is_first = matches!(event.asked, Asked::Join | Asked::Status) && !std::mem::replace(came_before, true);
            match (&event.asked, &event.answer) {
                (asked @ (Asked::Join | Asked::Status), Some(answer)) => match answer.text("state") {
                    "waiting" if *asked == Asked::Join => *waited = event.sent,
                    "waiting" => *waited = event.sent.saturating_sub(TOLD_LATE).max(*waited),
                    "admitted" if visit.is_none() => {
                        // Whoever is admitted on joining was so after they asked, unless an earlier join of theirs gave them a
                        // place, whatever they heard of it.
                        let after = if *asked == Asked::Join && is_first { event.sent } else { *waited };
                        *visit = Some(Visit { after, by: event.heard, until: Duration::MAX });
                    }
                    _ => {}
                },
                (Asked::ClaimWithPass { .. }, _) => {
                    if let Some(visit) = visit {
                        visit.until = visit.until.min(event.sent);
                    }
                }
                _ => {}
            }
        }
        visits.into_values().filter_map(|(_, _, visit)| visit).collect()
    }
}
