//! What has to hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use switchboard_wire::{EntryFrame, EntryKind, chat_lines, notice};

use crate::net::LinkId;
use crate::truth::{Life, Serial, Stay, Truth, serial_of};

pub(crate) type Entries = BTreeMap<u64, EntryFrame>;

impl Truth {
    /// Checks everything that can be told only when all is over.
    pub(crate) fn check(&mut self) {
        let checks = [
            Self::check_numbers,
            Self::check_names,
            Self::check_texts,
            Self::check_acks,
            Self::check_stays,
            Self::check_unreached,
            Self::check_looks,
        ];
        for check in checks {
            if let Err(what) = check(self) {
                self.fail(what);
            }
        }
    }

    /// Numbers have no gaps.
    fn check_numbers(&self) -> Result<(), String> {
        for (life, entries) in self.known_lives() {
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
        for (life, entries) in self.known_lives() {
            // Nobody leaves a hub that crashes.
            let ends = self.ends.iter().filter(|((run, room), (epoch, _))| {
                self.crashed.contains(run) && (room, epoch) == (&life.0, &life.1)
            });
            let ends: BTreeSet<u64> = ends.map(|(_, (_, seq))| *seq).collect();
            let known = self.known_to(life);
            let mut present: BTreeSet<&str> = BTreeSet::new();
            for entry in entries.range(..=known).map(|(_, entry)| entry) {
                if ends.contains(&(entry.seq - 1)) {
                    present.clear();
                }
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

    /// The lives of which every entry is known, but those at the end of a hub without a log.
    fn known_lives(&self) -> impl Iterator<Item = (&Life, &Entries)> {
        let lives = self.lives.iter();
        lives.filter(|(life, _)| self.has_log || self.witnessed.contains(life))
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
                if entry.reply_to != said.reply_to {
                    return Err(format!("{entry:?} does not answer what {said:?} does"));
                }
                let names = self.names.get(&said.link);
                if names.is_some_and(|names| !names.contains(&entry.from)) {
                    let name = &entry.from;
                    return Err(format!("{name} said text {serial} in {life:?}: {said:?}"));
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
            // A number that is gone with its entry is not known again.
            let is_forgotten = self.forgets && said.is_repeated;
            if (different.len() < lives.len() && !is_forgotten)
                || (said.id.is_none() && lives.len() > 1)
            {
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
        self.has_log || lives.all(|life| self.witnessed.contains(life))
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
            // What comes again when its number is gone is taken again.
            if first != ack.seq && !self.forgets {
                return Err(format!("{ack:?}, and it was {first} before"));
            }
            let entry = self.lives.get(life).and_then(|all| all.get(&ack.seq));
            let Some(entry) = entry else {
                let is_late = self.closing.contains(life) && ack.seq > self.known_to(life);
                if self.has_log || (self.witnessed.contains(life) && !is_late) {
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
        for stay in &self.stays {
            if !self.is_witnessed(&stay.room) {
                continue;
            }
            // Who was cut off on its way in has seen nothing.
            let is_empty = stay.lines.is_empty() && !stay.is_whole;
            if let Err(why) = self.find_stay(stay)
                && !is_empty
                && !self.is_lost(stay)
            {
                let Stay {
                    link, room, name, ..
                } = stay;
                return Err(format!(
                    "link {link} ({name}) in {room} did not see what happened there: {why}"
                ));
            }
        }
        Ok(())
    }

    /// Who is slow is fed from the log, and misses something only where that has stopped.
    fn check_unreached(&self) -> Result<(), String> {
        let mut unreached = self.unreached.iter();
        match unreached.find(|(run, _)| !self.stopped.contains(run)) {
            Some((run, what)) => Err(format!("run {run} had a log that went on: {what}")),
            None => Ok(()),
        }
    }

    /// It came behind all that is on the disk of a hub that crashed: it saw nothing of that.
    fn is_lost(&self, stay: &Stay) -> bool {
        let texts = stay.lines.iter().filter_map(|line| {
            let begin = line.find(":t")?;
            serial_of(&line[begin + 1..])
        });
        // One that was sent again may be there already, where its number was forgotten.
        let is_repeated = |serial: &Serial| {
            let said = self.said.get(serial);
            said.is_some_and(|said| said.is_repeated)
        };
        let seen: BTreeSet<Serial> = texts.filter(|it| !is_repeated(it)).collect();
        let is_seen = |entry: &EntryFrame| match &entry.kind {
            EntryKind::Text(text) => serial_of(text).is_some_and(|it| seen.contains(&it)),
            _ => false,
        };
        let kept = self.lives.iter().filter(|(life, _)| life.0 == stay.room);
        let mut kept = kept.flat_map(|(_, entries)| entries.values());
        let is_cut = self.crashed.contains(&stay.run);
        is_cut && !kept.any(|entry| self.is_of_run(stay.run, entry) && is_seen(entry))
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

    /// Whether an entry may be of a run of the hub.
    fn is_of_run(&self, run: u64, entry: &EntryFrame) -> bool {
        let end = |run| self.ends.get(&(run, entry.room.clone())).copied();
        let (before, end) = (end(run.saturating_sub(1)), end(run));
        let is_behind = before.is_none_or(|(epoch, seq)| epoch != entry.epoch || entry.seq > seq);
        // Of a run that has left nothing on the disk there is nothing.
        let has_left = !self.crashed.contains(&run);
        let is_before = |(epoch, seq)| epoch != entry.epoch || entry.seq <= seq;
        is_behind && end.map_or(has_left, is_before)
    }

    /// When somebody of a name came to a room in a run of the hub, as far as that is known.
    fn arrivals(&self, run: u64, room: &str, name: &str) -> Vec<(&Life, u64)> {
        let mut found = Vec::new();
        for (life, entries) in self.lives.iter().filter(|((of, _), _)| of == room) {
            for entry in entries.values() {
                let is_arrival = entry.kind == EntryKind::Joined && entry.from == name;
                if is_arrival && self.is_of_run(run, entry) {
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
        let is_cut = self.crashed.contains(&stay.run);
        let mut before = None;
        for entry in entries.range(at.seq..).map(|(_, entry)| entry) {
            if before.is_some_and(|before| before + 1 != entry.seq) && !self.has_log {
                // Nobody knows what was there: see `check_numbers`.
                return Ok(());
            }
            before = Some(entry.seq);
            if end.is_some_and(|(epoch, seq)| *epoch == entry.epoch && entry.seq > *seq) {
                // The rest of that run never came to the disk, and followers do not know of it.
                break;
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
                continue;
            }
            for line in lines_of(entry) {
                if let Some((_, count)) = stay.missed.get(at.missed).filter(|it| it.0 == at.seen) {
                    at.missed += 1;
                    return self.skip(stay, entries, &at, first..=entry.seq, *count);
                }
                match stay.lines.get(at.seen) {
                    Some(saw) if *saw == line => at.seen += 1,
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
        if is_cut {
            return Ok(());
        }
        // Those who see everything leave with the others when the hub ends, and with a reset, which
        // takes away what happened just before.
        let last = entries.values().next_back();
        let is_closing =
            last.is_some_and(|last| self.closing.contains(&(stay.room.clone(), last.epoch)));
        let is_late =
            |line: &&String| !self.has_log && !stay.is_whole && (is_closing || is_farewell(line));
        let rest = stay.lines.get(at.seen..).unwrap_or_default();
        match rest.iter().find(|line| !is_late(line)) {
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

    /// Whether an entry is the client's own, which it is not shown.
    fn is_own(&self, stay: &Stay, at: &Reading, entry: &EntryFrame) -> bool {
        match &entry.kind {
            EntryKind::Text(text) => {
                let said = serial_of(text).and_then(|serial| self.said.get(&serial));
                said.is_some_and(|said| said.link == stay.link)
            }
            _ => entry.from == at.name,
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

fn is_farewell(line: &str) -> bool {
    let is_notice = line.starts_with("* ");
    is_notice && (line.ends_with(" left") || line.contains(" left: "))
}

pub(crate) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// An entry as the line door shows it, by the words of docs/protocol.md.
pub(crate) fn lines_of(entry: &EntryFrame) -> Vec<String> {
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
