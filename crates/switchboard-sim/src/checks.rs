//! What has to hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use switchboard_wire::{EntryFrame, EntryKind, chat_lines, notice};

use crate::net::LinkId;
use crate::truth::{Life, Serial, Stay, Truth, serial_of};

type Entries = BTreeMap<u64, EntryFrame>;

impl Truth {
    /// Checks everything that can be told only when all is over.
    pub(crate) fn check(&mut self) {
        let checks = [
            Self::check_numbers,
            Self::check_names,
            Self::check_texts,
            Self::check_acks,
            Self::check_stays,
        ];
        for check in checks {
            if let Err(what) = check(self) {
                self.fail(what);
            }
        }
    }

    /// Numbers have no gaps.
    fn check_numbers(&self) -> Result<(), String> {
        for life in &self.witnessed {
            let Some(entries) = self.lives.get(life) else {
                continue;
            };
            for (want, seq) in (1..).zip(entries.keys()) {
                // When the hub ends, those who see everything leave before others do.
                if want != *seq && self.closing.contains(life) {
                    break;
                }
                if want != *seq {
                    return Err(format!("nobody ever saw entry {want} of {life:?}"));
                }
            }
        }
        Ok(())
    }

    /// A room's members have different names at any moment, and only who came leaves.
    fn check_names(&self) -> Result<(), String> {
        // Nobody leaves a hub that crashes.
        if !self.has_one_shard || !self.crashed.is_empty() {
            return Ok(());
        }
        for life in &self.witnessed {
            let mut present: BTreeSet<&str> = BTreeSet::new();
            for entry in self.lives.get(life).into_iter().flat_map(Entries::values) {
                let name = entry.from.as_str();
                let fits = match &entry.kind {
                    EntryKind::Joined => present.insert(name),
                    EntryKind::Left { .. } => present.remove(name),
                    EntryKind::Renamed { name: next } => {
                        present.remove(name) && present.insert(next)
                    }
                    _ => true,
                };
                if !fits {
                    return Err(format!("{present:?} are in {life:?}, and then: {entry:?}"));
                }
            }
        }
        Ok(())
    }

    /// Up to which number every entry of a life was seen.
    fn known_to(&self, life: &Life) -> u64 {
        let entries = self.lives.get(life).into_iter().flat_map(Entries::keys);
        let known = (1..).zip(entries).take_while(|(want, seq)| want == *seq);
        known.last().map_or(0, |(seq, _)| seq)
    }

    /// Each text is where it belongs, once, and in the order in which its author said it.
    fn check_texts(&self) -> Result<(), String> {
        let mut seen: BTreeMap<Serial, Vec<&Life>> = BTreeMap::new();
        for (life, entries) in &self.lives {
            let mut last: BTreeMap<LinkId, Serial> = BTreeMap::new();
            for entry in entries.values() {
                let EntryKind::Text(text) = &entry.kind else {
                    continue;
                };
                let Some((serial, said)) =
                    serial_of(text).and_then(|serial| self.said.get_key_value(&serial))
                else {
                    return Err(format!("nobody said {text:?}, which is in {life:?}"));
                };
                if !said.rooms.contains(&life.0) {
                    return Err(format!("text {serial} is in {life:?}: {said:?}"));
                }
                let id = entry.id.as_ref().map(|id| id.as_str());
                if id != said.id.as_deref() {
                    return Err(format!("text {serial} has the number {id:?}: {said:?}"));
                }
                let before = match said.is_repeated {
                    true => None,
                    false => last.insert(said.link, *serial),
                };
                if before.is_some_and(|before| before > *serial) {
                    return Err(format!(
                        "link {} said {serial} before {before:?}, and not so in {life:?}",
                        said.link
                    ));
                }
                seen.entry(*serial).or_default().push(life);
            }
        }
        for (serial, said) in &self.said {
            let lives: &[&Life] = seen.get(serial).map_or(&[], Vec::as_slice);
            let different: BTreeSet<_> = lives.iter().collect();
            if different.len() < lives.len() || (said.id.is_none() && lives.len() > 1) {
                let entries = self.lives.values().flat_map(Entries::values);
                let is_it = |entry: &&EntryFrame| match &entry.kind {
                    EntryKind::Text(text) => serial_of(text) == Some(*serial),
                    _ => false,
                };
                let times = entries
                    .filter(is_it)
                    .map(|entry| (entry.seq, entry.time_ms));
                let times: Vec<_> = times.collect();
                return Err(format!(
                    "text {serial} is there twice: {lives:?}, {times:?}, {said:?}"
                ));
            }
            let is_known = said.rooms.iter().all(|room| self.is_witnessed(room));
            if said.must_appear && is_known && lives.is_empty() {
                return Err(format!("text {serial} is nowhere: {said:?}"));
            }
        }
        Ok(())
    }

    /// Whether everything that ever happened in a room was seen by somebody.
    fn is_witnessed(&self, room: &str) -> bool {
        let mut lives = self.lives.keys().filter(|(name, _)| name == room);
        lives.all(|life| self.witnessed.contains(life))
    }

    /// What was acknowledged is there, under that number.
    fn check_acks(&self) -> Result<(), String> {
        let mut firsts: BTreeMap<(&Life, Serial), u64> = BTreeMap::new();
        let lives: Vec<Life> = self
            .acked
            .iter()
            .map(|ack| (ack.room.clone(), ack.epoch))
            .collect();
        for (ack, life) in self.acked.iter().zip(&lives) {
            let first = *firsts.entry((life, ack.serial)).or_insert(ack.seq);
            if first != ack.seq {
                return Err(format!("{ack:?}, and it was {first} before"));
            }
            let entry = self.lives.get(life).and_then(|all| all.get(&ack.seq));
            let Some(entry) = entry else {
                let is_late = self.closing.contains(life) && ack.seq > self.known_to(life);
                if self.witnessed.contains(life) && !is_late {
                    return Err(format!("nobody ever saw what was acknowledged: {ack:?}"));
                }
                continue;
            };
            let serial = match &entry.kind {
                EntryKind::Text(text) => serial_of(text),
                _ => None,
            };
            if serial != Some(ack.serial) {
                return Err(format!("{ack:?}, and there is {entry:?}"));
            }
        }
        Ok(())
    }

    /// Every line client saw what its rooms said while it was there, and nothing else.
    fn check_stays(&self) -> Result<(), String> {
        // Stays of a run that crashed that fit nowhere, and all of them, by room and name.
        let mut unfit: BTreeMap<(u64, &str, &str), (usize, usize, String)> = BTreeMap::new();
        for stay in &self.stays {
            if !self.is_witnessed(&stay.room) {
                continue;
            }
            let place = (stay.run, stay.room.as_str(), stay.name.as_str());
            let (all, failed, told) = unfit.entry(place).or_default();
            *all += 1;
            // Who was cut off on its way in has seen nothing.
            let is_empty = stay.lines.is_empty() && !stay.is_whole;
            if let Err(why) = self.find_stay(stay)
                && !is_empty
            {
                *failed += 1;
                let Stay {
                    link, room, name, ..
                } = stay;
                *told = format!(
                    "link {link} ({name}) in {room} did not see what happened there: {why}"
                );
            }
        }
        for ((run, room, name), (all, failed, told)) in unfit {
            // The last of them may have been lost before they came to the disk.
            let lost = if self.crashed.contains(&run) {
                all.saturating_sub(self.arrivals(run, room, name).len())
            } else {
                0
            };
            if failed > lost {
                return Err(told);
            }
        }
        Ok(())
    }

    /// Somewhere a stay has to fit.
    fn find_stay(&self, stay: &Stay) -> Result<(), String> {
        let mut nearest = "it never came".to_owned();
        for (life, seq) in self.arrivals(stay.run, &stay.room, &stay.name) {
            match self.compare(stay, life, seq) {
                Ok(()) => return Ok(()),
                Err(why) => nearest = format!("since {seq} of {life:?}: {why}"),
            }
        }
        Err(nearest)
    }

    /// When somebody of a name came to a room in a run of the hub, as far as that is known.
    fn arrivals(&self, run: u64, room: &str, name: &str) -> Vec<(&Life, u64)> {
        let end = |run| self.ends.get(&(run, room.to_owned())).copied();
        let (before, end) = (end(run.saturating_sub(1)), end(run));
        let is_in_run = |entry: &EntryFrame| {
            let behind = before.is_none_or(|(epoch, seq)| epoch != entry.epoch || entry.seq > seq);
            behind && end.is_none_or(|(epoch, seq)| epoch != entry.epoch || entry.seq <= seq)
        };
        let mut found = Vec::new();
        for (life, entries) in self.lives.iter().filter(|((of, _), _)| of == room) {
            for entry in entries.values() {
                let is_arrival = entry.kind == EntryKind::Joined && entry.from == name;
                if is_arrival && is_in_run(entry) {
                    found.push((life, entry.seq));
                }
            }
        }
        found
    }

    /// Compares what a line client saw with what happened since it came.
    fn compare(&self, stay: &Stay, life: &Life, since: u64) -> Result<(), String> {
        let Some(entries) = self.lives.get(life) else {
            return Ok(());
        };
        let place = Reading {
            seen: 0,
            seq: since,
            name: stay.name.clone(),
            missed: 0,
        };
        self.read_on(stay, entries, place, since)
    }

    /// Compares the rest, from a place on.
    /// `first` is the first that may be missed next.
    fn read_on(
        &self,
        stay: &Stay,
        entries: &Entries,
        mut at: Reading,
        mut first: u64,
    ) -> Result<(), String> {
        let end = self.ends.get(&(stay.run, stay.room.clone()));
        let mut before = None;
        for entry in entries.range(at.seq..).map(|(_, entry)| entry) {
            if before.is_some_and(|before| before + 1 != entry.seq) && !stay.is_whole {
                // Nobody knows what was there: see `check_numbers`.
                return Ok(());
            }
            before = Some(entry.seq);
            if end.is_some_and(|(epoch, seq)| *epoch == entry.epoch && entry.seq > *seq) {
                // The rest of that run never came to the disk, and followers do not know of it.
                return Ok(());
            }
            at.seq = entry.seq;
            if self.is_own(stay, &at, entry) {
                match &entry.kind {
                    EntryKind::Renamed { name } => at.name.clone_from(name),
                    EntryKind::Left { .. } if stay.is_whole => {
                        return Err(format!("it left at {}, and does not know", entry.seq));
                    }
                    EntryKind::Left { .. } => break,
                    _ => {}
                }
                at.seen += self.shown_again(stay, &at, entry);
                continue;
            }
            for line in lines_of(entry) {
                if let Some((_, count)) = stay.missed.get(at.missed).filter(|it| it.0 == at.seen) {
                    at.missed += 1;
                    return self.skip(stay, entries, &at, first..=entry.seq, *count);
                }
                match stay.lines.get(at.seen) {
                    Some(saw) if *saw == line => at.seen += 1,
                    // Who is fed from the log is not shown what is said under its own name.
                    _ if self.has_log && stay.names.contains(&entry.from) => {}
                    Some(saw) => {
                        let (seq, saw, line) = (entry.seq, short(saw), short(&line));
                        return Err(format!("at {seq}: {saw:?} instead of {line:?}"));
                    }
                    None if stay.is_whole => {
                        return Err(format!("{} and all behind it are missing", entry.seq));
                    }
                    None => return Ok(()),
                }
            }
            first = entry.seq + 1;
        }
        if end.is_some() && self.has_log {
            return Ok(());
        }
        // Those who see everything leave with the others when the hub ends.
        let rest = stay.lines.get(at.seen..).unwrap_or_default();
        let mut rest = rest
            .iter()
            .skip_while(|line| !stay.is_whole && is_farewell(line));
        match rest.next() {
            Some(more) => Err(format!("{:?} is too much", short(more))),
            None => Ok(()),
        }
    }

    /// Goes on behind what a client was told that it missed: so many entries from one of `from` on,
    /// since its own count, and it cannot know how many of them were next.
    fn skip(
        &self,
        stay: &Stay,
        entries: &Entries,
        at: &Reading,
        from: std::ops::RangeInclusive<u64>,
        count: u64,
    ) -> Result<(), String> {
        let mut told = Err(String::new());
        for next in from {
            let mut name = at.name.clone();
            for entry in entries
                .range(at.seq..at.seq.max(next + count))
                .map(|(_, entry)| entry)
            {
                if let EntryKind::Renamed { name: other } = &entry.kind
                    && entry.from == name
                {
                    name.clone_from(other);
                }
            }
            let place = Reading {
                seq: next + count,
                name,
                ..at.clone()
            };
            told = self.read_on(stay, entries, place, next + count);
            if told.is_ok() {
                break;
            }
        }
        told.map_err(|why| format!("behind {count} that it missed: {why}"))
    }

    /// How many lines of its own entry a client was shown: who is fed from the log is known by the
    /// name that it has then, and may have had another.
    fn shown_again(&self, stay: &Stay, at: &Reading, entry: &EntryFrame) -> usize {
        let lines = lines_of(entry);
        let saw = stay.lines.get(at.seen..at.seen + lines.len());
        let is_shown = self.has_log && saw == Some(lines.as_slice());
        if is_shown { lines.len() } else { 0 }
    }

    /// Whether an entry is the client's own, which it is not shown.
    fn is_own(&self, stay: &Stay, at: &Reading, entry: &EntryFrame) -> bool {
        match &entry.kind {
            EntryKind::Text(text) => {
                let said = serial_of(text).and_then(|serial| self.said.get(&serial));
                said.is_some_and(|said| said.link == stay.link)
            }
            _ => entry.from == at.name && !is_of_namesake(entry, stay.lines.get(at.seen)),
        }
    }
}

/// How far what a line client saw is compared.
#[derive(Debug, Clone)]
struct Reading {
    /// Lines that were found.
    seen: usize,
    /// The number of the next entry.
    seq: u64,
    /// What the client is called.
    name: String,
    /// Notices of what it missed that were found.
    missed: usize,
}

/// With several shards a name may have a new holder before the old one's last entry: nobody sees
/// its own entries.
fn is_of_namesake(entry: &EntryFrame, saw: Option<&String>) -> bool {
    saw.is_some() && lines_of(entry).first() == saw
}

fn is_farewell(line: &str) -> bool {
    let is_notice = line.starts_with("* ");
    is_notice && (line.ends_with(" left") || line.contains(" left: "))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// An entry as the line door shows it, by the words of docs/protocol.md.
fn lines_of(entry: &EntryFrame) -> Vec<String> {
    let who = &entry.from;
    let bytes = match &entry.kind {
        EntryKind::Text(text) => chat_lines(who, text).unwrap_or_default(),
        EntryKind::Joined => notice(&format!("{who} joined")),
        EntryKind::Left { reason: None } => notice(&format!("{who} left")),
        EntryKind::Left {
            reason: Some(reason),
        } => notice(&format!("{who} left: {reason}")),
        EntryKind::Renamed { name } => notice(&format!("{who} is now {name}")),
        EntryKind::Stored {
            file_name,
            file_bytes,
        } => notice(&format!(
            "{who} sent the file {file_name} ({file_bytes} bytes)"
        )),
        EntryKind::Topic { topic: Some(topic) } => notice(&format!("{who} set the topic: {topic}")),
        EntryKind::Topic { topic: None } => notice(&format!("{who} took the topic away")),
    };
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(str::to_owned).collect()
}
