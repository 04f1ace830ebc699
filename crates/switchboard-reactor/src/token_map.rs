//! What a handler knows of its sources.

use crate::slots::Token;

/// A value for each of some sources, found without any searching: the place of a token is its place
/// in here. As large as the most sources that there ever were at once.
#[derive(Debug)]
pub struct TokenMap<T> {
    places: Vec<Option<(u32, T)>>,
    len: usize,
}

impl<T> TokenMap<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: Vec::new(),
            len: 0,
        }
    }

    /// Makes room for the values of so many sources at once.
    pub fn reserve(&mut self, sources: usize) {
        self.places.reserve_exact(sources);
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True without any value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a value for a source. It takes the place of that of a source that is gone: those are
    /// best removed when they are told to be closed.
    pub fn insert(&mut self, token: Token, value: T) {
        while self.places.len() <= token.place() {
            self.places.push(None);
        }
        if let Some(place) = self.places.get_mut(token.place())
            && place.replace((token.generation(), value)).is_none()
        {
            self.len += 1;
        }
    }

    /// The value of a source.
    #[must_use]
    pub fn get(&self, token: Token) -> Option<&T> {
        match self.places.get(token.place()) {
            Some(Some((generation, value))) if *generation == token.generation() => Some(value),
            _ => None,
        }
    }

    /// The value of a source, to change it.
    #[must_use]
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        match self.places.get_mut(token.place()) {
            Some(Some((generation, value))) if *generation == token.generation() => Some(value),
            _ => None,
        }
    }

    /// Takes the value of a source out.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let place = self.places.get_mut(token.place())?;
        let value = place.take_if(|(generation, _)| *generation == token.generation());
        self.len -= usize::from(value.is_some());
        Some(value?.1)
    }

    /// The sources that have one.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        (0..).zip(&self.places).filter_map(|(index, place)| {
            let (generation, _) = place.as_ref()?;
            Some(Token::from_parts(index, *generation))
        })
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.places.clear();
        self.len = 0;
    }
}

impl<T> Default for TokenMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_one_token_and_not_to_its_successor() {
        let (first, second) = (Token::from_parts(3, 0), Token::from_parts(3, 1));
        let mut map = TokenMap::new();
        map.insert(first, "first");
        assert_eq!((map.get(first), map.get(second)), (Some(&"first"), None));
        assert_eq!((map.remove(second), map.len()), (None, 1));
        map.insert(second, "second");
        assert_eq!((map.get(first), map.len()), (None, 1));
        assert_eq!(map.tokens().collect::<Vec<_>>(), [second]);
        *map.get_mut(second).unwrap() = "changed";
        assert_eq!(
            (map.remove(second), map.is_empty()),
            (Some("changed"), true)
        );
        assert_eq!(map.remove(second), None);
    }
}
