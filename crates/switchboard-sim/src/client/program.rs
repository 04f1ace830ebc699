//! A program that reads: it follows rooms, and has its parcels acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use switchboard_wire::parcel::{join_parcel, message_parcel_with};
use switchboard_wire::{
    Answer, Delivered, DeliveryDecoder, EntryFrame, Fields, Follow, MessageId, Nick, RoomName,
};

use super::{Action, Phase, Scene};
use crate::net::LinkId;
use crate::truth::{Acked, Said, Serial, Truth, reply_of};

/// It says nothing more while that much is not acknowledged.
const PENDING_MAX: usize = 12;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Program {
    /// It reads everything at once, nothing happens to it, and it sees all of its room.
    is_witness: bool,
    room: Option<String>,
    /// How far it is in each room: the epoch and the number.
    places: BTreeMap<String, (u64, u64)>,
    /// It has asked to follow `room`, and does not know yet whether it does.
    is_joining: bool,
    is_following: bool,
    /// The room that it hears until then.
    heard: Option<String>,
    /// What it said and has no acknowledgement of: room and text.
    pending: BTreeMap<Serial, (String, String)>,
    /// What was acknowledged.
    taken: BTreeSet<Serial>,
    decoder: DeliveryDecoder,
    is_leaving: bool,
}

impl Program {
    pub(crate) fn new(room: Option<&str>, is_witness: bool) -> Self {
        Self {
            is_witness,
            room: room.map(str::to_owned),
            places: BTreeMap::new(),
            is_joining: false,
            is_following: false,
            heard: None,
            pending: BTreeMap::new(),
            taken: BTreeSet::new(),
            decoder: DeliveryDecoder::new(),
            is_leaving: false,
        }
    }

    pub(crate) const fn is_witness(&self) -> bool {
        self.is_witness
    }

    /// Who sees all of a room is where it is numbered, so that nothing comes between.
    pub(super) fn owner_wanted(&self) -> Option<&str> {
        self.room.as_deref().filter(|_| self.is_witness)
    }

    pub(super) fn connected(&mut self, scene: &mut Scene<'_>) {
        self.decoder = DeliveryDecoder::new();
        (self.is_joining, self.is_following, self.is_leaving) = (false, false, false);
        self.heard = None;
        let is_first = scene.random.chance(500);
        if is_first {
            self.follow(scene);
        }
        let again: Vec<Serial> = self.pending.keys().copied().collect();
        for serial in again {
            self.send_again(scene, serial);
        }
        if !is_first {
            self.follow(scene);
        }
    }

    fn follow(&mut self, scene: &mut Scene<'_>) {
        let Some(room) = self.room.clone() else {
            return;
        };
        let Ok(name) = RoomName::new(&room) else {
            return;
        };
        let place = self.places.get(&room).copied();
        let from_the_beginning = self.is_witness || scene.random.chance(300);
        let (since, epoch) = match place {
            Some((epoch, seq)) => (Some(seq), Some(epoch)),
            None => (from_the_beginning.then_some(0), None),
        };
        let nick = format!("p{}", scene.link);
        let has_name = !self.is_witness && scene.random.chance(300);
        let follow = Follow {
            room: name,
            from: has_name.then(|| Nick::new(&nick).ok()).flatten(),
            since,
            epoch,
        };
        self.is_joining = true;
        scene.send(join_parcel(&follow));
    }

    fn send_again(&self, scene: &mut Scene<'_>, serial: Serial) {
        scene.truth.count("parcels sent again");
        if let Some(said) = scene.truth.said.get_mut(&serial) {
            said.is_repeated = true;
        }
        self.send(scene, serial);
    }

    fn send(&self, scene: &mut Scene<'_>, serial: Serial) {
        let Some((room, text)) = self.pending.get(&serial) else {
            return;
        };
        let fields = Fields {
            room: RoomName::new(room).ok(),
            id: MessageId::new(&format!("id-{serial}")),
            reply_to: reply_of(serial),
            wants_ack: true,
            ..Fields::default()
        };
        if let Ok(parcel) = message_parcel_with(text, &fields) {
            scene.send(parcel);
        }
    }

    pub(super) fn received(&mut self, scene: &mut Scene<'_>, mut bytes: &[u8]) {
        loop {
            match self.decoder.push(&mut bytes) {
                Ok(Some(Delivered::Entry(entry))) => self.see(scene, &entry),
                Ok(Some(Delivered::Answer(answer))) => self.hear(scene, answer),
                Ok(None) => return,
                Err(error) => return scene.truth.fail(format!("link {}: {error}", scene.link)),
            }
        }
    }

    /// Something happened in the room.
    fn see(&mut self, scene: &mut Scene<'_>, entry: &EntryFrame) {
        let link = scene.link;
        scene.truth.count("entries seen");
        if self.heard.as_deref() != Some(entry.room.as_str()) {
            let heard = &self.heard;
            return scene.truth.fail(format!(
                "link {link} follows {heard:?} and received {entry:?}"
            ));
        }
        let Some((epoch, seq)) = self.places.get_mut(&entry.room) else {
            return;
        };
        if (entry.epoch, entry.seq) != (*epoch, *seq + 1) {
            let (epoch, seq) = (*epoch, *seq);
            return scene.truth.fail(format!(
                "link {link} was at {seq} of {epoch} and received {entry:?}"
            ));
        }
        *seq = entry.seq;
        scene.truth.observe(link, entry);
    }

    fn hear(&mut self, scene: &mut Scene<'_>, answer: Answer) {
        match answer {
            Answer::Ack {
                room,
                epoch,
                seq,
                id,
                durable,
            } => self.acknowledged(scene, room, (epoch, seq), id.as_ref(), durable),
            Answer::At { room, epoch, seq } => self.begin(scene, room, epoch, seq),
            Answer::Gap {
                room,
                epoch,
                from,
                to,
            } => self.miss(scene, &room, epoch, from, to),
            Answer::Have { hash, .. } => {
                let link = scene.link;
                let told = format!("link {link} is told of the file {hash}, and asked for none");
                scene.truth.fail(told);
            }
            Answer::Refused { id, reason } => self.refused(scene, id.as_ref(), &reason),
            Answer::Reset { room, epoch } => {
                if self.places.get(&room).is_some_and(|place| place.0 == epoch) {
                    let link = scene.link;
                    scene.truth.fail(format!(
                        "link {link} is told of a reset of {room} to {epoch} itself"
                    ));
                }
                self.places.remove(&room);
            }
        }
    }

    fn begin(&mut self, scene: &mut Scene<'_>, room: String, epoch: u64, seq: u64) {
        let link = scene.link;
        let place = self.places.insert(room.clone(), (epoch, seq));
        if place.is_some_and(|place| place != (epoch, seq)) {
            scene.truth.fail(format!(
                "link {link} was at {place:?} of {room} and is told that it is at {epoch}, {seq}"
            ));
        }
        if self.room.as_ref() != Some(&room) || !self.is_joining {
            scene
                .truth
                .fail(format!("link {link} did not ask for {room}"));
        }
        if self.is_witness && seq == 0 {
            scene.truth.witnessed.insert((room.clone(), epoch));
        }
        (self.is_joining, self.is_following) = (false, true);
        self.heard = Some(room);
        scene.truth.count("follows");
    }

    /// Something is not to be had any more.
    fn miss(&mut self, scene: &mut Scene<'_>, room: &str, epoch: u64, from: u64, to: u64) {
        let link = scene.link;
        let place = self.places.get_mut(room);
        match place {
            Some((at, seq)) if (*at, *seq + 1) == (epoch, from) && from <= to => *seq = to,
            _ => scene.truth.fail(format!(
                "link {link} was at {place:?} of {room} and misses {from} to {to} of {epoch}"
            )),
        }
        if scene.plan.has_log && !scene.plan.disk.forgets() {
            scene.truth.fail(format!(
                "link {link} misses {from} to {to} of {room}, and there is a log"
            ));
        }
        if self.is_witness {
            scene.truth.witnessed.remove(&(room.to_owned(), epoch));
        }
        scene.truth.count("gaps");
    }

    fn acknowledged(
        &mut self,
        scene: &mut Scene<'_>,
        room: String,
        (epoch, seq): (u64, u64),
        id: Option<&MessageId>,
        durable: bool,
    ) {
        let serial = id.and_then(serial_of_id);
        let Some(serial) = serial.filter(|serial| scene.truth.said.contains_key(serial)) else {
            return scene
                .truth
                .fail(format!("an acknowledgement of nothing: {id:?}"));
        };
        if durable != scene.plan.has_log {
            let log = scene.plan.has_log;
            scene.truth.fail(format!(
                "the log is {log} and {serial} is durable: {durable}"
            ));
        }
        self.pending.remove(&serial);
        self.taken.insert(serial);
        scene.truth.acked.push(Acked {
            serial,
            room,
            epoch,
            seq,
            durable,
        });
        scene.truth.count("acknowledgements");
    }

    fn refused(&mut self, scene: &mut Scene<'_>, id: Option<&MessageId>, reason: &str) {
        scene.truth.count("refusals");
        let is_of_join = id.is_none();
        if is_of_join && self.is_joining {
            self.is_joining = false;
            if self.is_witness {
                return;
            }
            if self.is_following {
                self.room.clone_from(&self.heard);
            } else if scene.random.chance(500) {
                self.room = Some("lobby".to_owned());
            }
        } else if let Some(serial) = id.and_then(serial_of_id) {
            self.pending.remove(&serial);
            // What has gone with its entry may be refused when it comes again.
            if self.taken.contains(&serial) && !scene.plan.disk.forgets() {
                let link = scene.link;
                scene.truth.fail(format!(
                    "link {link}: {serial} was acknowledged and is refused: {reason}"
                ));
            }
        }
    }

    pub(super) fn ended(&mut self, _: &mut Scene<'_>) {
        self.is_following = false;
    }

    pub(super) fn think(&mut self, scene: &mut Scene<'_>) {
        if self.is_leaving {
            return;
        }
        let is_lost = self.room.is_some() && !self.is_following && !self.is_joining;
        if is_lost && scene.phase != Phase::Leaving {
            self.follow(scene);
        }
        match scene.phase {
            Phase::Leaving => {
                self.is_leaving = true;
                scene.do_it(Action::Shutdown);
            }
            Phase::Healing => {}
            Phase::Faulty if self.is_witness => {}
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
            return scene.do_it(Action::Shutdown);
        }
        match scene.random.below(20) {
            0 if self.is_following && !self.is_joining => {
                let room = (*scene.random.pick(&scene.plan.rooms)).to_owned();
                if self.heard.as_ref() != Some(&room) {
                    self.room = Some(room);
                    self.follow(scene);
                }
            }
            1..=4 => {}
            5 => {
                // What is sent twice is taken once.
                if let Some(serial) = self.pending.keys().next().copied() {
                    self.send_again(scene, serial);
                }
            }
            6 => {
                for _ in 0..scene.random.range(2, 8) {
                    self.say(scene);
                }
            }
            _ => self.say(scene),
        }
    }

    fn say(&mut self, scene: &mut Scene<'_>) {
        if self.pending.len() >= PENDING_MAX {
            return;
        }
        let room = match &self.heard {
            Some(room) if scene.random.chance(800) => room.clone(),
            _ => (*scene.random.pick(&scene.plan.rooms)).to_owned(),
        };
        let bytes = scene.random.spread(scene.plan.text_bytes);
        let said = Said {
            link: scene.link,
            rooms: [room.clone()].into(),
            id: None,
            reply_to: None,
            is_repeated: false,
            must_appear: false,
        };
        let (serial, text) = scene.truth.say(said, bytes);
        if let Some(said) = scene.truth.said.get_mut(&serial) {
            said.id = Some(format!("id-{serial}"));
            said.reply_to = reply_of(serial);
        }
        scene.truth.count("parcels said");
        self.pending.insert(serial, (room, text));
        self.send(scene, serial);
    }

    pub(super) fn unsettled(&self, truth: &Truth, link: Option<LinkId>) -> Option<String> {
        // Who neither follows nor speaks is put out now and then, and comes back.
        if link.is_none() && self.room.is_some() {
            return Some("it is not connected".to_owned());
        }
        if let Some(serial) = self.pending.keys().next() {
            return Some(format!("what it said is not acknowledged: {serial}"));
        }
        let Some(room) = &self.room else {
            return None;
        };
        if !self.is_following {
            return Some(format!("it does not follow {room}"));
        }
        let (epoch, seq) = self.places.get(room).copied().unwrap_or_default();
        let last = truth.last_of(&(room.clone(), epoch));
        if seq != last {
            return Some(format!(
                "it is at {seq} of {room}, {epoch}, which is at {last}"
            ));
        }
        None
    }
}

fn serial_of_id(id: &MessageId) -> Option<Serial> {
    id.as_str().strip_prefix("id-")?.parse().ok()
}
