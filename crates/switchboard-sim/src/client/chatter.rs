//! Somebody at the line door.

use std::collections::VecDeque;

use super::{Action, Phase, Scene};
use crate::net::LinkId;
use crate::truth::{Look, Looked, Said, Stay, Truth};

/// What it looks for: parts of texts.
const WORDS: [&str; 6] = ["t1", "T7", "字", "\u{1f600}z", "ß", "of which nobody spoke"];
/// What nobody is to be told while the disk can be read.
const PUT_OUT_BY_LOG: [&str; 2] = [
    "you are put out: its room cannot be read",
    "you are put out: the log does not have",
];
/// What it is answered where there is nothing to be shown.
const NOTHING: &str = "there is nothing";
const UNREADABLE: &str = "that cannot be read: ";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Chatter {
    /// What it is called, by what it was told.
    name: String,
    /// The rooms that it asked for and is not in yet.
    wanted: VecDeque<String>,
    line: Vec<u8>,
    stay: Option<Stay>,
    /// Commands that are to be answered, and answers.
    asked: u64,
    answered: u64,
    /// What it has asked to be shown, while it is not all there.
    look: Option<Look>,
    /// It is being shown that.
    is_shown: bool,
    /// What was not taken just now.
    refused: u64,
    /// Its own texts on this connection.
    said: Vec<u64>,
    is_leaving: bool,
    has_asked_last: bool,
}

impl Chatter {
    pub(super) fn connected(&mut self, scene: &mut Scene<'_>, label: &str) {
        *self = Self {
            name: label.to_owned(),
            ..Self::default()
        };
        scene.truth.name(scene.link, label);
        self.begin_stay(scene, "lobby");
        if scene.random.chance(700) {
            let nick = format!("n{}", scene.link);
            self.take_name(scene, &nick);
        }
    }

    fn begin_stay(&mut self, scene: &Scene<'_>, room: &str) {
        self.stay = Some(Stay {
            link: scene.link,
            run: scene.run,
            room: room.to_owned(),
            name: self.name.clone(),
            lines: Vec::new(),
            missed: Vec::new(),
            is_whole: false,
        });
    }

    fn take_name(&mut self, scene: &mut Scene<'_>, nick: &str) {
        // It may be told something under its name before it knows that it has it.
        scene.truth.name(scene.link, nick);
        self.command(scene, &format!("/nick {nick}"));
    }

    fn command(&mut self, scene: &mut Scene<'_>, line: &str) {
        self.asked += 1;
        scene.send(format!("{line}\n"));
    }

    pub(super) fn received(&mut self, scene: &mut Scene<'_>, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.strip_suffix(b"\n");
            self.line.extend_from_slice(whole.unwrap_or(piece));
            if whole.is_some() {
                let line = std::mem::take(&mut self.line);
                match String::from_utf8(line) {
                    Ok(line) => self.hear(scene, &line),
                    Err(_) => scene.truth.fail("a line is not UTF-8"),
                }
            }
        }
    }

    fn hear(&mut self, scene: &mut Scene<'_>, line: &str) {
        let Some(notice) = line.strip_prefix("* ") else {
            return self.see(scene, line);
        };
        if let Some((_, secret)) = notice.split_once(" tells you: ") {
            return scene.truth.hear_secret(scene.link, secret);
        }
        if let Some(slow) = notice.strip_prefix("you were slow: ") {
            return self.miss(scene, slow);
        }
        if is_event(notice) {
            return self.see(scene, line);
        }
        if PUT_OUT_BY_LOG.iter().any(|why| notice.starts_with(why)) {
            let link = scene.link;
            return scene.truth.fail(format!("link {link}: {notice}"));
        }
        if notice.starts_with('#') {
            return self.be_shown(scene, line);
        }
        if notice.contains("nothing can be kept just now") {
            // Which one it was, a text or a topic, is not told.
            self.said.clear();
            self.refused += 1;
            return scene.truth.count("lines refused");
        }
        let is_nothing = notice == NOTHING || notice.starts_with(UNREADABLE);
        if is_nothing || std::mem::take(&mut self.is_shown) {
            self.has_looked(scene, !notice.starts_with(UNREADABLE));
        }
        self.answered += 1;
        if self.answered > self.asked && !is_last_word(notice) {
            let link = scene.link;
            scene.truth.fail(format!(
                "link {link} is answered what it did not ask: {line:?}"
            ));
        }
        if let Some(place) = notice.strip_prefix("you are now in ") {
            let room = place.split(',').next().unwrap_or_default().to_owned();
            while let Some(wanted) = self.wanted.pop_front()
                && wanted != room
            {}
            self.end_stay(scene.truth);
            self.begin_stay(scene, &room);
            scene.truth.count("moves");
        } else if let Some(name) = notice.strip_prefix("you are now ") {
            self.name = name.to_owned();
            scene.truth.count("names");
        }
    }

    /// It asks what was said in its room.
    fn look(&mut self, scene: &mut Scene<'_>) {
        let Some(stay) = &self.stay else {
            return;
        };
        // Where it will be when it is answered is not known before.
        if self.look.is_some() || !self.wanted.is_empty() || !scene.plan.has_log {
            return;
        }
        let what = match scene.random.below(2) {
            0 => Looked::History(scene.random.index(30) + 1),
            _ => Looked::Word(scene.random.pick::<&str>(&WORDS)),
        };
        let line = match &what {
            Looked::History(count) => format!("/history {count}"),
            Looked::Word(word) => format!("/search {word}"),
        };
        self.look = Some(Look {
            link: scene.link,
            room: stay.room.clone(),
            what,
            said: self.said.last().copied(),
            lines: Vec::new(),
        });
        self.command(scene, &line);
        // Its answer ends what is shown.
        self.command(scene, "/topic");
    }

    fn be_shown(&mut self, scene: &mut Scene<'_>, line: &str) {
        let Some(look) = &mut self.look else {
            let link = scene.link;
            let what = format!("link {link} is shown what it did not ask for: {line:?}");
            return scene.truth.fail(what);
        };
        look.lines.push(line.to_owned());
        if !std::mem::replace(&mut self.is_shown, true) {
            self.answered += 1;
        }
    }

    fn has_looked(&mut self, scene: &mut Scene<'_>, is_told: bool) {
        match self.look.take() {
            Some(look) if is_told => {
                let shown = match look.lines.is_empty() {
                    true => "looks in vain",
                    false => "looks",
                };
                scene.truth.count(shown);
                scene.truth.looks.push(look);
            }
            Some(_) => {}
            None => scene.truth.fail("an answer to no question"),
        }
    }

    /// It was too slow to see everything.
    fn miss(&mut self, scene: &mut Scene<'_>, what: &str) {
        scene.truth.count("lines missed");
        let reach = what.strip_suffix(" messages did not reach you");
        let gone = what.strip_suffix(" messages are gone");
        if scene.plan.has_log && reach.is_some() {
            scene.truth.unreached.push((scene.run, what.to_owned()));
        }
        if !scene.plan.disk.forgets() && gone.is_some() {
            scene
                .truth
                .fail(format!("there is a log that forgets nothing: {what}"));
        }
        let count = reach.or(gone);
        if let (Some(count), Some(stay)) = (count.and_then(|it| it.parse().ok()), &mut self.stay) {
            stay.missed.push((stay.lines.len(), count));
        }
    }

    /// Something that happened in the room.
    fn see(&mut self, scene: &mut Scene<'_>, line: &str) {
        scene.truth.count("lines seen");
        match &mut self.stay {
            Some(stay) => stay.lines.push(line.to_owned()),
            // What is seen on the way out is not counted.
            None if scene.phase == Phase::Leaving => {}
            None => scene.truth.fail(format!("a line for nobody: {line:?}")),
        }
    }

    fn end_stay(&mut self, truth: &mut Truth) {
        truth.stays.extend(self.stay.take());
    }

    pub(super) fn ended(&mut self, scene: &mut Scene<'_>, _: bool) {
        // A line that was torn by the end of the connection is not one.
        self.line.clear();
        self.end_stay(scene.truth);
    }

    pub(super) fn think(&mut self, scene: &mut Scene<'_>) {
        if self.is_leaving {
            return;
        }
        match scene.phase {
            Phase::Leaving => {
                self.is_leaving = true;
                if scene.random.chance(500) {
                    scene.send("/quit\n");
                } else {
                    scene.do_it(Action::Shutdown);
                }
            }
            Phase::Healing => {
                if !self.has_asked_last {
                    self.has_asked_last = true;
                    self.command(scene, "/who");
                }
            }
            Phase::Faulty => {
                if !scene.misbehave() {
                    self.act(scene);
                }
            }
        }
    }

    fn act(&mut self, scene: &mut Scene<'_>) {
        if scene.random.chance(scene.plan.leave) {
            self.is_leaving = true;
            scene.send("/quit\n");
            return;
        }
        if scene.random.chance(scene.plan.garbage) {
            return self.garbage(scene);
        }
        if scene.plan.looks > 0 && scene.random.chance(scene.plan.looks) {
            return self.look(scene);
        }
        match scene.random.below(20) {
            0 | 1 => {
                let room = (*scene.random.pick(&scene.plan.rooms)).to_owned();
                self.command(scene, &format!("/join {room}"));
                self.wanted.push_back(room);
            }
            2 => self.command(scene, "/who"),
            3 => self.command(scene, "/rooms"),
            4 => self.command(scene, "/topic"),
            5 => {
                let topic = format!("/topic about {}", scene.random.below(3));
                self.command(scene, &topic);
            }
            6 => {
                let nick = match scene.random.below(3) {
                    0 => format!("m{}", scene.link),
                    1 => format!("shared{}", scene.random.below(2)),
                    _ => format!("n{}", scene.link),
                };
                self.take_name(scene, &nick);
            }
            7 => {
                let link = scene.random.range(1, scene.link + 1);
                let to = match scene.random.below(3) {
                    0 => "shared0".to_owned(),
                    _ => format!("n{link}"),
                };
                let (_, secret) = scene.truth.tell(&to);
                self.command(scene, &format!("/msg {to} {secret}"));
            }
            8 => {
                for _ in 0..scene.random.range(2, 8) {
                    self.say(scene);
                }
            }
            _ => self.say(scene),
        }
    }

    fn say(&mut self, scene: &mut Scene<'_>) {
        let here = self.stay.as_ref().map(|stay| stay.room.clone());
        let said = Said {
            link: scene.link,
            rooms: here
                .into_iter()
                .chain(self.wanted.iter().cloned())
                .collect(),
            id: None,
            reply_to: None,
            is_repeated: false,
            must_appear: false,
        };
        let bytes = scene.random.spread(scene.plan.text_bytes);
        let (serial, text) = scene.truth.say(said, bytes);
        self.said.push(serial);
        scene.truth.count("lines said");
        scene.send(format!("{text}\n"));
    }

    fn garbage(&mut self, scene: &mut Scene<'_>) {
        match scene.random.below(3) {
            0 => {
                self.asked += 1;
                scene.send(b"\xff\xfe\x00 what\n".to_vec());
            }
            1 => self.command(scene, "/nothing of that kind"),
            _ => scene.send("\r\n \n\n".to_owned()),
        }
    }

    pub(super) fn unsettled(&mut self, truth: &mut Truth, link: Option<LinkId>) -> Option<String> {
        if link.is_none() {
            return Some("it is not connected".to_owned());
        }
        if self.asked > self.answered + self.refused {
            let (asked, answered) = (self.asked, self.answered);
            return Some(format!(
                "it asked {asked} times and was answered {answered}"
            ));
        }
        for serial in &self.said {
            if let Some(said) = truth.said.get_mut(serial) {
                said.must_appear = true;
            }
        }
        if let Some(stay) = &mut self.stay {
            stay.is_whole = true;
        }
        self.end_stay(truth);
        None
    }
}

/// What the hub says unasked before it ends a connection.
fn is_last_word(notice: &str) -> bool {
    let words = [
        "the hub is ",
        "you are put out",
        "too many connections",
        "there are ",
        "the room ",
    ];
    words.iter().any(|word| notice.starts_with(word))
}

/// Whether a notice tells what happened in the room, and not what the member asked.
fn is_event(notice: &str) -> bool {
    let Some((_, what)) = notice.split_once(' ') else {
        return false;
    };
    let whole = ["joined", "left", "took the topic away"];
    let begin = ["left: ", "is now ", "set the topic: ", "sent the file "];
    whole.contains(&what) || begin.iter().any(|word| what.starts_with(word))
}
