//! One room, or several: who speaks in it, who hears, and what is said.

use core::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::crowd::{Crowd, Met, ended};
use super::run::{Checked, Talking, WAIT_MAX};
use super::slow::{Slow, SlowReader};
use super::talk::{Counts, Talk, speaker_of, wrong_message};
use super::wire::Role;
use super::{Crew, FanoutOptions};
use crate::BenchError;
use crate::turns::Traffic;

/// When nothing has been heard for so long, what is on the way in the end is lost.
const REST_SILENCE_MAX: Duration = Duration::from_secs(5);

/// Who is gathered, and how they speak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) crew: Crew,
    /// Of so many rooms all have as many members and speakers.
    pub(super) rooms: usize,
    /// Deliveries a second; as many as go without.
    pub(super) pace_per_s: Option<u32>,
    /// Who else is in the room.
    pub(super) slow: Slow,
}

impl Plan {
    /// One room, flat out.
    pub(super) const fn of(crew: Crew) -> Self {
        Self {
            crew,
            rooms: 1,
            pace_per_s: None,
            slow: Slow::Nobody,
        }
    }
}

/// Speakers and members who are all in, and what is said.
pub(super) struct Room {
    crowd: Crowd,
    talk: Talk,
    head: Vec<u8>,
    tail: &'static [u8],
    began: Instant,
    /// The time between two messages, and when the next one is due.
    pace: Option<(Duration, Instant)>,
    /// Whose turn it is, at a pace.
    turn: usize,
    /// The place of the first who speaks.
    first_speaker: usize,
    slow: SlowReader,
}

impl Room {
    pub(super) fn gather(
        mut crowd: Crowd,
        plan: Plan,
        options: &FanoutOptions,
    ) -> Result<Self, BenchError> {
        let Crew { speakers, members } = plan.crew;
        crowd.rooms = plan.rooms;
        // Members come first, so that no speaker counts on who is not there yet.
        crowd.join(Role::Member, members)?;
        let slow = SlowReader::join(plan.slow, crowd.addr)?;
        crowd.join(Role::Speaker, speakers)?;
        let heard = if crowd.protocol.speakers_hear() {
            speakers / plan.rooms - 1
        } else {
            0
        };
        let ears = members / plan.rooms + heard;
        let listeners = members + speakers;
        let (head, tail) = crowd.protocol.frame(options.bytes);
        let step = plan
            .pace_per_s
            .map(|pace| Duration::from_secs_f64(ears as f64 / f64::from(pace)));
        Ok(Self {
            talk: Talk::new(options.bytes, speakers, listeners, ears, options.window),
            crowd,
            head,
            tail,
            began: Instant::now(),
            pace: step.map(|step| (step, Instant::now())),
            turn: 0,
            first_speaker: members,
            slow,
        })
    }

    /// Says what is to be said now; answers how long nothing will be.
    fn speak(&mut self, now: Instant) -> Result<Duration, BenchError> {
        let Some((step, mut due)) = self.pace else {
            (0..self.talk.speakers()).try_for_each(|speaker| self.say(speaker, usize::MAX))?;
            return Ok(WAIT_MAX);
        };
        while due <= now {
            self.say(self.turn, 1)?;
            self.turn = (self.turn + 1) % self.talk.speakers();
            due += step;
        }
        self.pace = Some((step, due));
        Ok(WAIT_MAX.min(due - now))
    }

    /// At most so many messages of one, with one send.
    fn say(&mut self, speaker: usize, most: usize) -> Result<(), BenchError> {
        let place = self.first_speaker + speaker;
        let now_ns = nanos(self.began);
        let Some(out) = self.crowd.outgoing(place) else {
            return Err(ended(place));
        };
        let mut has_said = false;
        for _ in 0..most {
            let Some(payload) = self.talk.say(speaker, now_ns) else {
                break;
            };
            out.extend_from_slice(&self.head);
            out.extend_from_slice(payload);
            out.extend_from_slice(self.tail);
            has_said = true;
        }
        if has_said {
            self.crowd.flush(place)?;
        }
        Ok(())
    }

    fn hear(
        &mut self,
        limit: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let (talk, began) = (&mut self.talk, self.began);
        let rooms = self.crowd.rooms;
        let mut at = (usize::MAX, 0);
        self.crowd.turn(Some(limit), &mut |place, met| match met {
            Met::Payload(payload) => {
                // One look at the clock for all that came at once.
                if at.0 != place {
                    at = (place, nanos(began));
                }
                if speaker_of(payload).is_some_and(|speaker| speaker % rooms != place % rooms) {
                    return Err(wrong_message(place, payload));
                }
                talk.hear(place, payload, at.1, latencies)
            }
            Met::In => Ok(()),
            Met::Out => Err(ended(place)),
        })
    }
}

impl Traffic for Room {
    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let end = Instant::now() + length;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let limit = self.speak(now)?.min(end - now);
            self.hear(limit, latencies)?;
            self.slow.step(now)?;
            self.crowd.check_silence("what was said to be heard")?;
        }
        if let Some(latencies) = latencies {
            self.talk.tell_latencies(latencies);
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.talk.counts.heard
    }

    fn least(&self) -> u64 {
        match self.pace {
            Some(_) => self.talk.ears() as u64,
            None => self.talk.on_the_way_max(),
        }
    }

    fn stood_still(&mut self, pause: Duration) {
        self.began += pause;
        self.crowd.stood_still(pause);
        if let Some((_, due)) = &mut self.pace {
            *due += pause;
        }
    }
}

impl Talking for Room {
    /// Says no more, until all have heard everything; what does not come is lost.
    fn finish(&mut self) -> Result<Checked, BenchError> {
        while !self.talk.is_over() && self.crowd.silence() < REST_SILENCE_MAX {
            self.hear(WAIT_MAX, &mut None)?;
        }
        self.talk.give_up();
        let Counts {
            heard,
            lost,
            reordered,
        } = self.talk.counts;
        Ok(Checked {
            lost,
            reordered,
            of: heard + lost,
        })
    }
}

/// How long it has been, in nanoseconds.
pub(super) fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
