//! What has to hold of what members are shown when they ask what was said.

use switchboard_hub::limits::HISTORY_ENTRIES;
use switchboard_wire::{EntryFrame, EntryKind};

use crate::checks::{Entries, lines_of, short};
use crate::truth::{Life, Look, Looked, Truth, serial_of};

impl Truth {
    /// Whoever asked what was said was shown that.
    pub(crate) fn check_looks(&self) -> Result<(), String> {
        for look in &self.looks {
            let lives = self
                .lives
                .iter()
                .filter(|((room, _), _)| *room == look.room);
            let mut why = "there was no such room".to_owned();
            let fits = |(_, entries): (&Life, &Entries)| match self.compare_look(look, entries) {
                Ok(()) => true,
                Err(what) => {
                    why = what;
                    false
                }
            };
            if !lives.into_iter().any(fits) && !look.lines.is_empty() {
                let (link, room, what) = (look.link, &look.room, &look.what);
                return Err(format!("link {link} asked in {room} for {what:?}: {why}"));
            }
        }
        Ok(())
    }

    fn compare_look(&self, look: &Look, entries: &Entries) -> Result<(), String> {
        let mut seqs = Vec::new();
        for line in &look.lines {
            let Some((seq, words)) = shown(line) else {
                return Err(format!("{:?} is no entry", short(line)));
            };
            let entry = entries.get(&seq);
            if entry.map(words_of).as_deref() != Some(words) {
                let entry = entry.map(words_of).map(|words| short(&words));
                return Err(format!("{:?} is {entry:?}", short(line)));
            }
            seqs.push(seq);
        }
        let is_wanted = |entry: &EntryFrame| match (&look.what, &entry.kind) {
            (Looked::History(_), _) => true,
            (Looked::Word(word), EntryKind::Text(text)) => {
                text.to_lowercase().contains(&word.to_lowercase())
            }
            (Looked::Word(_), _) => false,
        };
        // By time: it is the order in which a search finds.
        if self.is_wall_stepped && matches!(look.what, Looked::Word(_)) {
            let all = seqs.iter().filter_map(|seq| entries.get(seq));
            let strange = all.into_iter().find(|entry| !is_wanted(entry));
            return strange.map_or(Ok(()), |entry| Err(format!("it was shown {entry:?}")));
        }
        let last = seqs.last().copied().unwrap_or(0);
        let most = match look.what {
            Looked::History(count) => count,
            Looked::Word(_) => HISTORY_ENTRIES,
        };
        let wanted = entries.range(..=last).map(|(_, entry)| entry);
        let wanted: Vec<u64> = wanted.filter(|it| is_wanted(it)).map(|it| it.seq).collect();
        let newest = wanted
            .get(wanted.len().saturating_sub(most)..)
            .unwrap_or_default();
        let begins = newest.len().saturating_sub(seqs.len());
        let is_all = begins == 0 || self.forgets;
        if !is_all || newest.get(begins..) != Some(seqs.as_slice()) {
            return Err(format!("it was shown {seqs:?}, and there are {newest:?}"));
        }
        // What it had said itself is among what it was shown, or older.
        let is_own = |entry: &&EntryFrame| match &entry.kind {
            EntryKind::Text(text) => look.said.is_some() && serial_of(text) == look.said,
            _ => false,
        };
        let own = entries.values().find(is_own).filter(|own| is_wanted(own));
        match own {
            Some(own) if own.seq > last && !self.refuses && !self.forgets => {
                Err(format!("it had said {}, and was shown {seqs:?}", own.seq))
            }
            _ => Ok(()),
        }
    }
}

/// The number and the words of an entry that was asked for.
fn shown(line: &str) -> Option<(u64, &str)> {
    let (place, what) = line.strip_prefix("* #")?.split_once(": ")?;
    let (seq, _ago) = place.split_once(", ")?;
    Some((seq.parse().ok()?, what))
}

/// An entry as who asks for it is shown it, by the words of docs/protocol.md.
fn words_of(entry: &EntryFrame) -> String {
    match &entry.kind {
        EntryKind::Text(text) => format!("{}: {text}", entry.from),
        _ => lines_of(entry).concat().trim_start_matches("* ").to_owned(),
    }
}
