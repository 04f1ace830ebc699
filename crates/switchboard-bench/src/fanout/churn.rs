//! Some who come, speak and leave.

use core::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::crowd::{Crowd, Met, ended};
use super::room::nanos;
use super::run::{Checked, Talking, WAIT_MAX};
use super::wire::Role;
use super::{CHURN_AT_ONCE, FanoutOptions};
use crate::BenchError;
use crate::turns::Traffic;

/// Some who come, speak and leave, and one who hears them all.
pub(super) struct Churn {
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
    pub(super) fn begin(mut crowd: Crowd, options: &FanoutOptions) -> Result<Self, BenchError> {
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
}

impl Traffic for Churn {
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
    fn count(&self) -> u64 {
        self.done
    }

    fn least(&self) -> u64 {
        CHURN_AT_ONCE as u64
    }

    fn stood_still(&mut self, pause: Duration) {
        self.began += pause;
        self.crowd.stood_still(pause);
    }
}

impl Talking for Churn {
    /// Whoever is still there ends with the hub.
    fn finish(&mut self) -> Result<Checked, BenchError> {
        Ok(Checked {
            lost: 0,
            reordered: self.reordered,
            of: self.done,
        })
    }
}
