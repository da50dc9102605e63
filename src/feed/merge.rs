//! Many lists of posts, each newest first, as one.

use std::collections::BinaryHeap;

use super::inbox::Newest;
use super::post::PostId;

/// What is known of all lists of a reader together.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<Newest>,
    /// Down to here all lists are complete; `None`: they have no more than this.
    pub(super) floor: Option<PostId>,
}

impl Lists {
    pub(super) fn new(lists: Vec<Newest>) -> Self {
        let floor = lists.iter().filter(|list| !list.is_all).filter_map(|list| list.ids.last()).max().copied();
        Self { lists, floor }
    }

    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self { lists: Vec::new(), floor: Some(PostId(i64::MAX)) }
    }

    /// The newest ones below this, each once, as far down as all lists are complete, at most so many.
    pub(super) fn below(&self, below: PostId, count: usize) -> Vec<PostId> {
        let from = |list: &Newest| list.ids.partition_point(|id| *id >= below);
        let mut next: BinaryHeap<(PostId, usize, usize)> = self
            .lists
            .iter()
            .enumerate()
            .filter_map(|(index, list)| list.ids.get(from(list)).map(|id| (*id, index, from(list))))
            .collect();
        let mut merged = Vec::new();
        while let Some((id, index, position)) = next.pop() {
            if merged.len() == count || self.floor.is_some_and(|floor| id < floor) {
                break;
            }
            if merged.last() != Some(&id) {
                merged.push(id);
            }
            if let Some(after) = self.lists[index].ids.get(position + 1) {
                next.push((*after, index, position + 1));
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[i64], is_all: bool) -> Newest {
        Newest { ids: ids.iter().copied().map(PostId).collect(), is_all }
    }

    fn numbers(ids: &[PostId]) -> Vec<i64> {
        ids.iter().map(|id| id.0).collect()
    }

    #[test]
    fn what_is_in_several_lists_comes_once_and_the_newest_first() {
        let lists = Lists::new(vec![list(&[9, 5, 1], true), list(&[8, 5, 2], true), list(&[], true)]);
        assert_eq!(numbers(&lists.below(PostId(i64::MAX), 10)), [9, 8, 5, 2, 1]);
        assert_eq!(numbers(&lists.below(PostId(8), 2)), [5, 2]);
        assert_eq!(lists.floor, None);
    }

    #[test]
    fn where_one_list_ends_early_the_others_wait_for_it() {
        let lists = Lists::new(vec![list(&[9, 6], false), list(&[8, 7, 3], true)]);
        assert_eq!(lists.floor, Some(PostId(6)));
        assert_eq!(numbers(&lists.below(PostId(i64::MAX), 10)), [9, 8, 7, 6]);
        assert_eq!(numbers(&lists.below(PostId(6), 10)), [0; 0]);
        assert_eq!(numbers(&Lists::unknown().below(PostId(6), 10)), [0; 0]);
    }
}
