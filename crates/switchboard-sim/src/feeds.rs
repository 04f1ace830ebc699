//! Rings of entries that many connections read, as the reactor's feeds are documented.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use crate::net::Token;

/// The name of a feed.
pub(crate) type FeedId = u64;

/// All feeds of one shard.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    rings: BTreeMap<FeedId, Ring>,
    /// What each reader reads, and the number of the entry that it gets next.
    readers: BTreeMap<Token, (FeedId, u64)>,
    last_id: FeedId,
}

#[derive(Debug)]
struct Ring {
    bytes_max: usize,
    entries_max: usize,
    /// The number of the first entry that is there.
    first: u64,
    bytes: usize,
    entries: VecDeque<(Bytes, Option<Token>)>,
}

/// What a reader gets next.
#[derive(Debug)]
pub(crate) enum Next {
    Nothing,
    Entry(Bytes),
    /// What it should get has left: its number.
    Behind(u64),
}

impl Feeds {
    pub(crate) fn add(&mut self, bytes_max: usize, entries_max: usize) -> FeedId {
        self.last_id += 1;
        let ring = Ring {
            bytes_max,
            entries_max: entries_max.max(1),
            first: 0,
            bytes: 0,
            entries: VecDeque::new(),
        };
        self.rings.insert(self.last_id, ring);
        self.last_id
    }

    pub(crate) fn remove(&mut self, feed: FeedId) {
        self.rings.remove(&feed);
        self.readers.retain(|_, (read, _)| *read != feed);
    }

    pub(crate) fn len(&self) -> usize {
        self.rings.len()
    }

    /// Whether an entry of so many bytes drives others out.
    pub(crate) fn would_lose(&self, feed: FeedId, len: usize) -> bool {
        self.rings.get(&feed).is_some_and(|ring| {
            ring.bytes + len > ring.bytes_max || ring.entries.len() >= ring.entries_max
        })
    }

    pub(crate) fn append(&mut self, feed: FeedId, bytes: &[u8], except: Option<Token>) -> u64 {
        let Some(ring) = self.rings.get_mut(&feed) else {
            return 0;
        };
        ring.bytes += bytes.len();
        ring.entries
            .push_back((Bytes::copy_from_slice(bytes), except));
        let is_over =
            |ring: &Ring| ring.bytes > ring.bytes_max || ring.entries.len() > ring.entries_max;
        while ring.entries.len() > 1 && is_over(ring) {
            if let Some((oldest, _)) = ring.entries.pop_front() {
                ring.bytes -= oldest.len();
                ring.first += 1;
            }
        }
        ring.first + ring.entries.len() as u64 - 1
    }

    pub(crate) fn range(&self, feed: FeedId) -> Range<u64> {
        let ring = self.rings.get(&feed);
        ring.map_or(0..0, |ring| {
            ring.first..ring.first + ring.entries.len() as u64
        })
    }

    /// False if that entry has left already, or the feed is gone.
    pub(crate) fn subscribe(&mut self, token: Token, feed: FeedId, from: u64) -> bool {
        let fits = self.rings.contains_key(&feed) && self.range(feed).start <= from;
        if fits {
            self.readers.insert(token, (feed, from));
        }
        fits
    }

    pub(crate) fn unsubscribe(&mut self, token: Token) {
        self.readers.remove(&token);
    }

    /// The number of the entry that a reader gets next.
    pub(crate) fn next_of(&self, token: Token) -> Option<u64> {
        self.readers.get(&token).map(|(_, next)| *next)
    }

    /// Who reads a feed.
    pub(crate) fn readers_of(&self, feed: FeedId) -> Vec<Token> {
        let readers = self.readers.iter();
        let readers = readers.filter(|(_, (read, _))| *read == feed);
        readers.map(|(token, _)| *token).collect()
    }

    /// Whether there is anything for a reader, or something that it has missed.
    pub(crate) fn is_pending(&self, token: Token) -> bool {
        self.readers.get(&token).is_some_and(|(feed, next)| {
            let range = self.range(*feed);
            let ring = self.rings.get(feed);
            let is_for_it = |number: u64| {
                let index = usize::try_from(number - range.start).unwrap_or(usize::MAX);
                let entry = ring.and_then(|ring| ring.entries.get(index));
                entry.is_some_and(|(_, except)| *except != Some(token))
            };
            *next < range.start || (*next..range.end).any(is_for_it)
        })
    }

    /// Takes what a reader gets next.
    pub(crate) fn take(&mut self, token: Token) -> Next {
        let Some((feed, next)) = self.readers.get_mut(&token) else {
            return Next::Nothing;
        };
        let Some(ring) = self.rings.get(feed) else {
            return Next::Nothing;
        };
        loop {
            let Some(index) = next.checked_sub(ring.first) else {
                return Next::Behind(*next);
            };
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let Some((bytes, except)) = ring.entries.get(index) else {
                return Next::Nothing;
            };
            *next += 1;
            if *except != Some(token) {
                return Next::Entry(bytes.clone());
            }
        }
    }

    /// No feed holds more than it may, unless it is one entry.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (id, ring) in &self.rings {
            let bytes: usize = ring.entries.iter().map(|(bytes, _)| bytes.len()).sum();
            let is_over = bytes > ring.bytes_max || ring.entries.len() > ring.entries_max;
            if bytes != ring.bytes || (is_over && ring.entries.len() > 1) {
                return Err(format!("feed {id} holds {bytes} bytes"));
            }
        }
        Ok(())
    }
}
