//! What one seed's world is like: drawn once, before it begins.

use std::num::NonZeroU32;
use std::time::Duration;

use switchboard_hub::Limits;

use crate::random::Random;
use crate::time::{MS, Micros, SECOND};

/// A defect that is put into a world on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Now and then the network loses a piece that was sent.
    LostPiece,
    /// Now and then it loses what is for a line client.
    LostLine,
    /// Now and then it gives to a line client what is for another.
    StrayLine,
    /// Now and then it delivers one twice.
    TwicePiece,
    /// Now and then it gives one to somebody else.
    StrayPiece,
    /// Now and then it changes the order of two.
    SwappedPieces,
    /// The journal says durable before it has synced.
    EarlyDurable,
    /// The journal loses an entry now and then.
    LostEntry,
    /// The journal forgets the authors' numbers when it is opened again.
    LostIds,
    /// The journal leaves out an entry of those that a member asks for.
    LostFind,
    /// It gives an entry of another room to a member who asks.
    StrayFind,
}

impl Mutant {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::LostPiece,
        Self::TwicePiece,
        Self::StrayPiece,
        Self::SwappedPieces,
        Self::LostLine,
        Self::StrayLine,
        Self::EarlyDurable,
        Self::LostEntry,
        Self::LostIds,
        Self::LostFind,
        Self::StrayFind,
    ];

    pub(crate) const fn is_of_net(self) -> bool {
        matches!(
            self,
            Self::LostPiece | Self::TwicePiece | Self::StrayPiece | Self::SwappedPieces
        ) || self.is_of_lines()
    }

    pub(crate) const fn is_of_lines(self) -> bool {
        matches!(self, Self::LostLine | Self::StrayLine)
    }

    /// How often it shows.
    pub(crate) const fn per_mille(self) -> u64 {
        2
    }
}

/// What may go wrong on the way, per thousand chances, and how long things take.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) shards: usize,
    /// How long what one shard has for another is on its way.
    pub(crate) mail: Micros,
    pub(crate) has_log: bool,
    pub(crate) limits: Limits,
    pub(crate) chatters: usize,
    pub(crate) programs: usize,
    pub(crate) plain: usize,
    pub(crate) rooms: Vec<&'static str>,
    /// How long the faults last.
    pub(crate) faulty: Micros,
    /// The time between two things that a client does.
    pub(crate) pause: Micros,
    pub(crate) latency: Micros,
    pub(crate) jitter: Micros,
    pub(crate) window: usize,
    /// Bytes of a feed at most.
    pub(crate) ring: usize,
    pub(crate) segment: u64,
    pub(crate) read_cut: u64,
    /// Faults, per thousand things that a client does.
    pub(crate) cut: u64,
    pub(crate) vanish: u64,
    pub(crate) lag: u64,
    pub(crate) stall: u64,
    pub(crate) dribble: u64,
    pub(crate) leave: u64,
    pub(crate) garbage: u64,
    /// Times between the hub's own troubles; `None` for never.
    pub(crate) crash: Option<Micros>,
    pub(crate) stop: Option<Micros>,
    pub(crate) standstill: Option<Micros>,
    pub(crate) wall_steps: bool,
    pub(crate) text_bytes: u64,
    /// Somebody sees all of each room. Where there is a log, its disk tells what happened.
    pub(crate) has_witnesses: bool,
    /// How often members ask what was said, per thousand things that they do.
    pub(crate) looks: u64,
    pub(crate) disk: DiskPlan,
}

/// What the disk is like.
#[derive(Debug, Clone)]
pub(crate) struct DiskPlan {
    pub(crate) sync: Micros,
    /// Per thousand commits.
    pub(crate) slow: u64,
    pub(crate) full: u64,
    pub(crate) fails: u64,
    pub(crate) read: Micros,
    /// How many entries its backlog pretends each one to be.
    pub(crate) weight: usize,
    /// How many entries of a room it keeps, and for how long at most, in milliseconds of the wall
    /// clock.
    pub(crate) keep: Option<usize>,
    pub(crate) keep_ms: Option<i64>,
}

impl DiskPlan {
    /// It does not keep everything for ever.
    pub(crate) const fn forgets(&self) -> bool {
        self.keep.is_some() || self.keep_ms.is_some()
    }
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let mut more = Random::new(seed, 3);
        let mut pace = Random::new(seed, 4);
        let r = &mut random;
        let text_bytes = *r.pick(&[8, 8, 8, 100, 100, 100, 2_000, 30_000]);
        let rooms = ["lobby", "kitchen", "garden", "küche", "attic", "cellar"];
        let rooms = rooms.get(..r.index(4) + 2).unwrap_or(&rooms).to_vec();
        let calm = r.chance(150);
        let pause = *r.pick(&[2 * MS, 20 * MS, 100 * MS, 400 * MS]);
        let faulty = (pause * r.range(10, 50)).max(SECOND);
        let mut seldom = || {
            let is_on = !calm && r.chance(400);
            is_on.then(|| faulty / 4 + r.below(faulty))
        };
        let (crash, stop, standstill) = (seldom(), seldom(), seldom());
        let large = if text_bytes > 1_000 { 16 } else { 1 };
        Self {
            shards: *r.pick(&[1, 1, 2, 3]),
            mail: *r.pick(&[5, 200, 20 * MS]),
            has_log: r.chance(600),
            limits: Limits {
                messages_per_second: NonZeroU32::new(*pace.pick(&[0, 0, 0, 20, 200])),
                ..draw_limits(r, text_bytes)
            },
            chatters: r.index(5) + 1,
            programs: r.index(5) + 1,
            plain: r.index(3),
            rooms,
            faulty,
            pause,
            latency: *r.pick(&[10, 200, 5 * MS, 100 * MS]),
            jitter: *r.pick(&[0, 100, 20 * MS, 200 * MS]),
            window: *r.pick(&[2 * 1024, 16 * 1024, 64 * 1024, 256 * 1024]) * large,
            ring: *r.pick(&[1024, 16 * 1024, 1024 * 1024]),
            segment: *r.pick(&[text_bytes + 20, 1_460, 16_384]),
            read_cut: *r.pick(&[text_bytes + 20, 4_096, 262_144]),
            cut: often(r, calm, 30),
            vanish: often(r, calm, 10),
            lag: often(r, calm, 40),
            stall: often(r, calm, 40),
            dribble: often(r, calm, 60),
            leave: often(r, calm, 60),
            garbage: often(r, calm, 30),
            crash,
            stop,
            standstill,
            wall_steps: r.chance(200),
            text_bytes,
            looks: *more.pick(&[0, 20, 200]),
            disk: DiskPlan {
                slow: often(r, calm, 100),
                full: often(r, calm, 30),
                fails: often(r, calm, 3),
                sync: r.range(100, 20 * MS),
                read: r.range(50, 5 * MS),
                weight: *r.pick(&[1, 100, 1000, 4000]),
                keep: *more.pick(&[None, None, None, Some(0), Some(3), Some(30), Some(300)]),
                keep_ms: *more.pick(&[None, None, None, Some(500), Some(10_000)]),
            },
            has_witnesses: more.chance(600),
        }
        .sound()
    }

    /// Without a log only witnesses know what happened.
    fn sound(mut self) -> Self {
        self.has_witnesses |= !self.has_log;
        if !self.has_witnesses {
            // Half of these rooms are read by people alone.
            self.programs /= 2;
        }
        self
    }
}

/// How often a fault shows in one world; in many it never does.
fn often(random: &mut Random, calm: bool, most: u64) -> u64 {
    let per_mille = random.below(most + 1);
    if calm || random.chance(300) {
        0
    } else {
        per_mille
    }
}

fn draw_limits(random: &mut Random, text_bytes: u64) -> Limits {
    let r = random;
    let mut limits = Limits::default();
    if r.chance(500) {
        // It holds a few of the longest texts.
        let least = usize::try_from(text_bytes * 8).unwrap_or(0);
        limits.outbox_bytes = least.max(16 * 1024) * *r.pick(&[1, 4, 16]);
    }
    if r.chance(300) {
        limits.outbox_time = Duration::from_secs(r.range(5, 60));
    }
    if r.chance(200) {
        limits.parcel_idle = Duration::from_secs(r.range(30, 120));
    }
    if r.chance(200) {
        limits.frame_time = Duration::from_secs(r.range(5, 30));
        limits.line_time = Duration::from_secs(r.range(5, 60));
    }
    if r.chance(150) {
        limits.rooms = 6;
    }
    limits
}
