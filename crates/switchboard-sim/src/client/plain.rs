//! A program that sends plain parcels and never reads.

use switchboard_wire::parcel::{close_frame, message_parcel_with};
use switchboard_wire::{Fields, RoomName};

use super::{Action, Phase, Scene};
use crate::truth::{Said, reply_of};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    said: Vec<u64>,
    left: u64,
    has_ended: bool,
}

impl Plain {
    pub(super) fn connected(&mut self, scene: &mut Scene<'_>) {
        *self = Self {
            left: scene.random.range(1, 12),
            ..Self::default()
        };
    }

    pub(super) fn think(&mut self, scene: &mut Scene<'_>) {
        if self.has_ended {
            return;
        }
        if scene.phase == Phase::Faulty && scene.misbehave() {
            self.has_ended = true;
            return;
        }
        if self.left > 0 {
            self.left -= 1;
            return self.say(scene);
        }
        self.has_ended = true;
        if scene.random.chance(500) {
            scene.send(close_frame());
        }
        scene.do_it(Action::Shutdown);
    }

    fn say(&mut self, scene: &mut Scene<'_>) {
        let room = *scene.random.pick(&scene.plan.rooms);
        let said = Said {
            link: scene.link,
            rooms: [room.to_owned()].into(),
            id: None,
            reply_to: None,
            is_repeated: false,
            must_appear: false,
        };
        let bytes = scene.random.spread(scene.plan.text_bytes);
        let (serial, text) = scene.truth.say(said, bytes);
        let reply_to = reply_of(serial);
        if let Some(said) = scene.truth.said.get_mut(&serial) {
            said.reply_to = reply_to;
        }
        let fields = Fields {
            reply_to,
            room: RoomName::new(room).ok(),
            ..Fields::default()
        };
        if let Ok(parcel) = message_parcel_with(&text, &fields) {
            self.said.push(serial);
            scene.truth.count("plain parcels");
            scene.send(parcel);
        }
    }

    pub(super) fn ended(&self, scene: &mut Scene<'_>, in_good_order: bool) {
        if !in_good_order || !self.has_ended || scene.is_closing {
            return;
        }
        scene.truth.count("plain conversations");
        for serial in &self.said {
            if let Some(said) = scene.truth.said.get_mut(serial) {
                said.must_appear = true;
            }
        }
    }
}
