//! One hub under one load.

use core::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::crowd::{Crowd, Met, ended};
use super::talk::{Counts, Talk};
use super::wire::Role;
use super::{CHURN_AT_ONCE, Crew, FanoutOptions, Hub, Load};
use crate::BenchError;
use crate::load::histogram;
use crate::machine::{Cores, thread_cpu_ns};
use crate::process::{Running, Usage};

/// How long a hub is loaded before anything is counted.
const WARM_UP: Duration = Duration::from_millis(200);

/// How long one wait lasts at most, so that the end of a run and silence are noticed.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// How long what is on the way in the end may take to be heard.
const REST_MAX: Duration = Duration::from_secs(5);

/// What one hub did in one run. What is counted is a delivery, one message that one member heard;
/// of [`Load::Churn`], somebody's coming, speaking and leaving.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Run {
    /// Deliveries a second.
    pub per_s: f64,
    /// CPU time of the hub, all its threads, for each, in nanoseconds.
    pub cpu_ns_each: f64,
    /// Half of them were heard within so many microseconds of being handed to the kernel; of
    /// [`Load::Churn`], of the beginning of connecting.
    pub p50_us: f64,
    /// 99 of 100 were.
    pub p99_us: f64,
    /// The most resident memory of the hub, in bytes.
    pub peak_bytes: u64,
    /// Deliveries that did not come.
    pub lost: u64,
    /// Deliveries that came behind a later message of the same speaker, or twice.
    pub reordered: u64,
    /// Deliveries in all, those of the warm-up included: of so many none may be lost.
    pub of: u64,
    /// How much of the time the hub was ready to run and waited for its core.
    pub server_waited_share: f64,
    /// How much of its core the load used. Near 1 the hub could have done more.
    pub load_cpu_share: f64,
}

pub(super) fn run_once(
    hub: &Hub,
    load: Load,
    options: &FanoutOptions,
    cores: Option<Cores>,
) -> Result<Run, BenchError> {
    let started = hub.start(load.connections(), cores.map(|cores| cores.server))?;
    let crowd = Crowd::new(started.running.addr, hub.protocol, options.bytes)?;
    match load {
        Load::FlatOut(crew) => {
            let mut room = Room::gather(crowd, crew, None, options)?;
            room.measure(&started.running, options.length)
        }
        Load::Paced(crew) => {
            let mut room = Room::gather(crowd, crew, Some(options.pace_per_s), options)?;
            room.measure(&started.running, options.length)
        }
        Load::Churn => {
            let mut churn = Churn::begin(crowd, options)?;
            churn.measure(&started.running, options.length)
        }
    }
}

/// A moment of a run.
struct Moment {
    at: Instant,
    usage: Usage,
    load_ns: u64,
    count: u64,
}

impl Moment {
    fn now(running: &Running, count: u64) -> Result<Self, BenchError> {
        Ok(Self {
            usage: running.usage()?,
            load_ns: thread_cpu_ns(),
            at: Instant::now(),
            count,
        })
    }

    /// What happened from here to `end`.
    fn until(&self, end: &Self, latencies: &Histogram<u64>, peak_bytes: u64) -> Run {
        let elapsed_ns = (end.at - self.at).as_secs_f64() * 1e9;
        let used = end.usage.since(self.usage);
        let count = end.count - self.count;
        let us_at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        Run {
            per_s: count as f64 * 1e9 / elapsed_ns,
            cpu_ns_each: used.cpu_ns as f64 / count.max(1) as f64,
            p50_us: us_at(0.5),
            p99_us: us_at(0.99),
            peak_bytes,
            lost: 0,
            reordered: 0,
            of: 0,
            server_waited_share: used.waited_ns as f64 / elapsed_ns,
            load_cpu_share: (end.load_ns - self.load_ns) as f64 / elapsed_ns,
        }
    }
}

/// Speakers and members who are all in, and what is said.
struct Room {
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
}

impl Room {
    fn gather(
        mut crowd: Crowd,
        crew: Crew,
        pace_per_s: Option<u32>,
        options: &FanoutOptions,
    ) -> Result<Self, BenchError> {
        let Crew { speakers, members } = crew;
        // Members come first, so that no speaker counts on who is not there yet.
        crowd.join(Role::Member, members)?;
        crowd.join(Role::Speaker, speakers)?;
        let hears = crowd.protocol.speakers_hear();
        let ears = members + if hears { speakers - 1 } else { 0 };
        let listeners = members + speakers;
        let (head, tail) = crowd.protocol.frame(options.bytes);
        let step = pace_per_s.map(|pace| Duration::from_secs_f64(ears as f64 / f64::from(pace)));
        Ok(Self {
            talk: Talk::new(options.bytes, speakers, listeners, ears, options.window),
            crowd,
            head,
            tail,
            began: Instant::now(),
            pace: step.map(|step| (step, Instant::now())),
            turn: 0,
            first_speaker: members,
        })
    }

    fn measure(&mut self, running: &Running, length: Duration) -> Result<Run, BenchError> {
        self.go_on(WARM_UP.min(length), &mut None)?;
        let mut latencies = histogram()?;
        let begin = Moment::now(running, self.talk.counts.heard)?;
        self.go_on(length, &mut Some(&mut latencies))?;
        let end = Moment::now(running, self.talk.counts.heard)?;
        self.talk.tell_latencies(&mut latencies);
        let peak_bytes = running.peak_memory_bytes()?;
        self.hear_the_rest()?;
        let Counts {
            heard,
            lost,
            reordered,
        } = self.talk.counts;
        Ok(Run {
            lost,
            reordered,
            of: heard + lost,
            ..begin.until(&end, &latencies, peak_bytes)
        })
    }

    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let end = Instant::now() + length;
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            let limit = self.speak(now)?.min(end - now);
            self.hear(limit, latencies)?;
            self.crowd.check_silence("what was said to be heard")?;
        }
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
        let mut at = (usize::MAX, 0);
        self.crowd.turn(Some(limit), &mut |place, met| match met {
            Met::Payload(payload) => {
                // One look at the clock for all that came at once.
                if at.0 != place {
                    at = (place, nanos(began));
                }
                talk.hear(place, payload, at.1, latencies)
            }
            Met::In => Ok(()),
            Met::Out => Err(ended(place)),
        })
    }

    /// Says no more, until all have heard everything; what does not come is lost.
    fn hear_the_rest(&mut self) -> Result<(), BenchError> {
        let end = Instant::now() + REST_MAX;
        while !self.talk.is_over() && Instant::now() < end {
            self.hear(WAIT_MAX, &mut None)?;
        }
        self.talk.give_up();
        Ok(())
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Some who come, speak and leave, and one who hears them all.
struct Churn {
    crowd: Crowd,
    /// The same for each message but the number.
    talk: Vec<Passer>,
    payload_bytes: usize,
    head: Vec<u8>,
    tail: &'static [u8],
    began: Instant,
    said: u64,
    done: u64,
    reordered: u64,
}

/// One who is there now.
#[derive(Debug, Clone, Default)]
struct Passer {
    payload: Vec<u8>,
    begun_ns: u64,
    is_heard: bool,
}

/// The place of the standing member; those who pass have the places behind it.
const STANDING: usize = 0;

impl Churn {
    fn begin(mut crowd: Crowd, options: &FanoutOptions) -> Result<Self, BenchError> {
        crowd.join(Role::Member, 1)?;
        crowd.make_places(CHURN_AT_ONCE);
        let (head, tail) = crowd.protocol.frame(options.bytes);
        let mut churn = Self {
            crowd,
            talk: vec![Passer::default(); CHURN_AT_ONCE],
            payload_bytes: options.bytes,
            head,
            tail,
            began: Instant::now(),
            said: 0,
            done: 0,
            reordered: 0,
        };
        (0..CHURN_AT_ONCE).try_for_each(|passer| churn.pass(passer))?;
        Ok(churn)
    }

    /// One comes, and says its word as soon as it can.
    fn pass(&mut self, number: usize) -> Result<(), BenchError> {
        let Some(passer) = self.talk.get_mut(number) else {
            return Ok(());
        };
        passer.begun_ns = nanos(self.began);
        passer.is_heard = false;
        passer.payload.clear();
        super::talk::write_payload(number, self.said, self.payload_bytes, &mut passer.payload);
        self.said += 1;
        let place = STANDING + 1 + number;
        self.crowd.connect(place, Role::Passer)?;
        if let Some(out) = self.crowd.outgoing(place) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(&passer.payload);
            out.extend_from_slice(self.tail);
        }
        Ok(())
    }

    fn measure(&mut self, running: &Running, length: Duration) -> Result<Run, BenchError> {
        self.go_on(WARM_UP.min(length), &mut None)?;
        let mut latencies = histogram()?;
        let begin = Moment::now(running, self.done)?;
        self.go_on(length, &mut Some(&mut latencies))?;
        let end = Moment::now(running, self.done)?;
        Ok(Run {
            reordered: self.reordered,
            of: self.done,
            ..begin.until(&end, &latencies, running.peak_memory_bytes()?)
        })
    }

    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let end = Instant::now() + length;
        let (mut heard, mut gone) = (Vec::new(), Vec::new());
        while Instant::now() < end {
            let (talk, reordered) = (&mut self.talk, &mut self.reordered);
            let began = self.began;
            self.crowd
                .turn(Some(WAIT_MAX), &mut |place, met| match met {
                    Met::Out if place == STANDING => Err(ended(place)),
                    Met::Out => {
                        gone.push(place - STANDING - 1);
                        Ok(())
                    }
                    Met::Payload(payload) if place == STANDING => {
                        let number = super::talk::speaker_of(payload).unwrap_or(usize::MAX);
                        match talk.get_mut(number) {
                            Some(passer) if passer.payload == payload && !passer.is_heard => {
                                passer.is_heard = true;
                                if let Some(latencies) = latencies {
                                    let now_ns = nanos(began);
                                    latencies.saturating_record(now_ns - passer.begun_ns);
                                }
                                heard.push(number);
                            }
                            // Twice, or after its time.
                            _ => *reordered += 1,
                        }
                        Ok(())
                    }
                    // Those who pass hear each other where that is how it is.
                    Met::Payload(_) | Met::In => Ok(()),
                })?;
            self.crowd.check_silence("who came to be heard")?;
            for number in heard.drain(..) {
                self.crowd.leave(STANDING + 1 + number)?;
            }
            for number in gone.drain(..) {
                if self.talk.get(number).is_none_or(|passer| !passer.is_heard) {
                    return Err(ended(STANDING + 1 + number));
                }
                self.done += 1;
                self.pass(number)?;
            }
        }
        Ok(())
    }
}
