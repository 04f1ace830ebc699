//! The clients: they speak the real wire, and remember what they were told.

mod chatter;
mod plain;
mod program;

use switchboard_hub::Door;

pub(crate) use self::chatter::Chatter;
pub(crate) use self::plain::Plain;
pub(crate) use self::program::Program;
use crate::net::LinkId;
use crate::plan::Plan;
use crate::random::Random;
use crate::time::Micros;
use crate::truth::Truth;

/// What a client wants done with its connection.
#[derive(Debug)]
pub(crate) enum Action {
    Send(Vec<u8>),
    /// It ends its side, and reads on.
    Shutdown,
    /// It closes with a reset.
    Abort,
    /// It is gone, and nobody is told.
    Vanish,
    /// It reads nothing for so long.
    Lag(Micros),
    /// It reads so many bytes in each of these times, until it has caught up.
    Dribble(usize, Micros),
    /// What it sends is not on its way before that time has gone by.
    Stall(Micros),
}

/// How far the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Things go wrong, and everybody talks.
    Faulty,
    /// Nothing goes wrong any more; what is not settled yet is done again.
    Healing,
    /// Everybody goes.
    Leaving,
}

/// What a client sees of the world.
pub(crate) struct Scene<'a> {
    pub(crate) phase: Phase,
    pub(crate) link: LinkId,
    /// Which run of the hub it is.
    pub(crate) run: u64,
    /// The hub ends: what it takes now need not be seen by anybody.
    pub(crate) is_closing: bool,
    pub(crate) plan: &'a Plan,
    pub(crate) random: &'a mut Random,
    pub(crate) truth: &'a mut Truth,
    pub(crate) actions: Vec<Action>,
}

impl Scene<'_> {
    pub(crate) fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.actions.push(Action::Send(bytes.into()));
    }

    pub(crate) fn do_it(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// The faults that any client may have; true if its connection is over.
    fn misbehave(&mut self) -> bool {
        let plan = self.plan;
        if self.random.chance(plan.vanish) {
            self.do_it(Action::Vanish);
            return true;
        }
        if self.random.chance(plan.leave / 4) {
            self.do_it(Action::Abort);
            return true;
        }
        if self.random.chance(plan.lag) {
            let time = self.random.spread(plan.pause * 20);
            self.do_it(Action::Lag(time));
        }
        if self.random.chance(plan.stall) {
            let time = self.random.spread(plan.pause * 10);
            self.do_it(Action::Stall(time));
        }
        if self.random.chance(plan.dribble) {
            let bytes = self.random.index(64) + 1;
            let each = self.random.spread(plan.pause / 4);
            self.do_it(Action::Dribble(bytes, each));
        }
        false
    }
}

/// One client, over all of its connections.
#[derive(Debug)]
pub(crate) enum Client {
    Chatter(Chatter),
    Program(Program),
    Plain(Plain),
}

impl Client {
    pub(crate) const fn door(&self) -> Door {
        match self {
            Self::Chatter(_) => Door::Chat,
            Self::Program(_) | Self::Plain(_) => Door::Parcels,
        }
    }

    /// Its connection is up, and the hub calls it by that address.
    pub(crate) fn connected(&mut self, scene: &mut Scene<'_>, label: &str) {
        match self {
            Self::Chatter(chatter) => chatter.connected(scene, label),
            Self::Program(program) => program.connected(scene),
            Self::Plain(plain) => plain.connected(scene),
        }
    }

    pub(crate) fn received(&mut self, scene: &mut Scene<'_>, bytes: &[u8]) {
        match self {
            Self::Chatter(chatter) => chatter.received(scene, bytes),
            Self::Program(program) => program.received(scene, bytes),
            Self::Plain(_) => {
                let link = scene.link;
                scene
                    .truth
                    .fail(format!("link {link} is plain and was written to"));
            }
        }
    }

    /// The hub has ended the connection, or it is broken.
    pub(crate) fn ended(&mut self, scene: &mut Scene<'_>, in_good_order: bool) {
        match self {
            Self::Chatter(chatter) => chatter.ended(scene, false),
            Self::Program(program) => program.ended(scene),
            Self::Plain(plain) => plain.ended(scene, in_good_order),
        }
    }

    /// It is time to do something.
    pub(crate) fn think(&mut self, scene: &mut Scene<'_>) {
        match self {
            Self::Chatter(chatter) => chatter.think(scene),
            Self::Program(program) => program.think(scene),
            Self::Plain(plain) => plain.think(scene),
        }
    }

    /// The room with whose owner it wants to be connected.
    pub(crate) fn owner_wanted(&self) -> Option<&str> {
        match self {
            Self::Program(program) => program.owner_wanted(),
            _ => None,
        }
    }

    /// It wants to be connected.
    pub(crate) const fn wants_in(&self, phase: Phase) -> bool {
        match phase {
            Phase::Faulty => true,
            Phase::Healing => !matches!(self, Self::Plain(_)),
            Phase::Leaving => false,
        }
    }

    /// What it still lacks when everything has healed.
    pub(crate) fn unsettled(&mut self, truth: &mut Truth, link: Option<LinkId>) -> Option<String> {
        match self {
            Self::Chatter(chatter) => chatter.unsettled(truth, link),
            Self::Program(program) => program.unsettled(truth, link),
            Self::Plain(_) => None,
        }
    }
}
