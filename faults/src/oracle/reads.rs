//! A read is answered within its limit, whatever is dead behind it.

use super::Judge;
use crate::request::Asked;

impl Judge<'_> {
    pub(super) fn reads_are_answered(&mut self) {
        let evidence = self.evidence;
        for event in &evidence.events {
            let is_read = matches!(event.asked, Asked::View | Asked::List | Asked::Status);
            let mut disturbed = evidence.disturbed.iter();
            let excused =
                disturbed.any(|bad| bad.node == event.node && bad.from <= event.heard && bad.until >= event.sent);
            if is_read && event.status() == 0 && !excused {
                self.say(format!(
                    "invariant 10: a read was sent at {:?} and had no answer by {:?}: {:?} at node {}",
                    event.sent, event.heard, event.asked, event.node
                ));
            }
        }
    }
}
