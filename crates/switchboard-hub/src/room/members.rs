//! Who is in a room, in the order of numbers. Most come with the highest number there is, behind
//! all others: for those each block is filled to its end, where a tree would leave half of it
//! empty.

use std::sync::Arc;

use super::MemberId;

/// Members that lie side by side.
const BLOCK: usize = 64;

type Member = (MemberId, Arc<str>);

/// Members with the names under which the others see them.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// None is empty, and the numbers grow.
    blocks: Vec<Vec<Member>>,
    len: usize,
}

impl Members {
    pub(super) const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The block where a member is, if it is anywhere: the last that begins no later.
    fn block_of(&self, id: MemberId) -> usize {
        let begins_later = |block: &Vec<Member>| block.first().is_none_or(|first| first.0 > id);
        let behind = self.blocks.partition_point(|block| !begins_later(block));
        behind.saturating_sub(1)
    }

    pub(super) fn get(&self, id: MemberId) -> Option<&Arc<str>> {
        let block = self.blocks.get(self.block_of(id))?;
        let place = block.binary_search_by_key(&id, |member| member.0).ok()?;
        block.get(place).map(|member| &member.1)
    }

    pub(super) fn get_mut(&mut self, id: MemberId) -> Option<&mut Arc<str>> {
        let index = self.block_of(id);
        let block = self.blocks.get_mut(index)?;
        let place = block.binary_search_by_key(&id, |member| member.0).ok()?;
        block.get_mut(place).map(|member| &mut member.1)
    }

    pub(super) fn contains(&self, id: MemberId) -> bool {
        self.get(id).is_some()
    }

    /// Takes in somebody who is not here.
    pub(super) fn insert(&mut self, id: MemberId, name: Arc<str>) {
        self.len += 1;
        let index = self.block_of(id);
        let Some(block) = self.blocks.get_mut(index) else {
            return self.blocks.push(vec![(id, name)]);
        };
        let place = block.partition_point(|member| member.0 < id);
        if block.len() < BLOCK {
            return block.insert(place, (id, name));
        }
        if place == BLOCK {
            let mut next = Vec::with_capacity(BLOCK);
            next.push((id, name));
            return self.blocks.insert(index + 1, next);
        }
        let mut second = block.split_off(BLOCK / 2);
        match place.checked_sub(BLOCK / 2) {
            Some(place) => second.insert(place, (id, name)),
            None => block.insert(place, (id, name)),
        }
        self.blocks.insert(index + 1, second);
    }

    pub(super) fn remove(&mut self, id: MemberId) -> Option<Arc<str>> {
        let index = self.block_of(id);
        let block = self.blocks.get_mut(index)?;
        let place = block.binary_search_by_key(&id, |member| member.0).ok()?;
        let (_, name) = block.remove(place);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(index);
        } else {
            self.join(index);
            self.join(index.saturating_sub(1));
        }
        Some(name)
    }

    /// Makes one block of two that are small.
    fn join(&mut self, index: usize) {
        let len = |index: usize| self.blocks.get(index).map_or(BLOCK, Vec::len);
        if len(index) + len(index + 1) > BLOCK / 2 {
            return;
        }
        let next = self.blocks.remove(index + 1);
        if let Some(block) = self.blocks.get_mut(index) {
            block.extend(next);
        }
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberId, &Arc<str>)> {
        self.blocks.iter().flatten().map(|(id, name)| (*id, name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_an_ordered_map(
            steps in proptest::collection::vec((0..300_u64, 0..3_u8), 0..2000)
        ) {
            let (mut members, mut model) = (Members::new(), BTreeMap::new());
            for (number, what) in steps {
                let (id, name) = (MemberId(number), Arc::<str>::from(format!("{what}")));
                match what {
                    0 => prop_assert_eq!(members.remove(id), model.remove(&id)),
                    _ if members.contains(id) => {
                        *members.get_mut(id).unwrap() = name.clone();
                        model.insert(id, name);
                    }
                    _ => {
                        members.insert(id, name.clone());
                        model.insert(id, name);
                    }
                }
                prop_assert_eq!(members.get(id), model.get(&id));
                prop_assert_eq!(members.len(), model.len());
            }
            prop_assert!(members.iter().eq(model.iter().map(|(id, name)| (*id, name))));
            prop_assert_eq!(members.is_empty(), model.is_empty());
        }
    }

    #[test]
    fn blocks_are_full_where_numbers_grow_and_few_where_most_have_gone() {
        let mut members = Members::new();
        for number in 0..6400 {
            members.insert(MemberId(number), "x".into());
        }
        assert_eq!(members.blocks.len(), 6400 / BLOCK);
        for number in (0..6400).filter(|number| number % 64 != 0) {
            members.remove(MemberId(number));
        }
        assert!(members.blocks.len() < 20, "{}", members.blocks.len());
    }
}
