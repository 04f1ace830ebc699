//! Parcels on one connection, as many as a hub takes.
//!
//! Only some of them ask for an answer: it has the number that the parcel was given in its room, so
//! that each answer also says what became of all parcels before. With a log it comes when they are
//! on the disk.

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Deserialize;

use super::crowd::{Crowd, Met, ended};
use super::room::nanos;
use super::run::{Checked, Talking, WAIT_MAX};
use super::talk::wrong_message;
use super::wire::Role;
use crate::BenchError;
use crate::turns::Traffic;

/// Bytes of a message.
pub(super) const MESSAGE_BYTES: usize = 32;

/// Parcels of which the last one asks for an answer.
pub(super) const PARCELS_AN_ANSWER: u64 = 256;

/// Answers that may be on their way: of so many parcels none has to wait for the others.
const ANSWERS_AWAITED_MAX: usize = 64;

/// When nothing has been answered for so long, what is on the way in the end is lost.
const REST_SILENCE_MAX: Duration = Duration::from_secs(10);

/// What stands in an answer, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Answer {
    sb: Kind,
}

#[derive(Debug, Deserialize)]
struct Kind {
    ack: Ack,
}

#[derive(Debug, Deserialize)]
struct Ack {
    seq: u64,
}

/// One who sends parcels.
pub(super) struct Parcels {
    crowd: Crowd,
    /// So many parcels, the last of which asks for an answer.
    batch: Vec<u8>,
    /// When each batch was handed over that has no answer yet.
    begun_ns: VecDeque<u64>,
    began: Instant,
    /// The number of the last parcel that was answered.
    seq: Option<u64>,
    taken: u64,
}

impl Parcels {
    pub(super) fn begin(mut crowd: Crowd) -> Result<Self, BenchError> {
        crowd.make_places(1);
        crowd.connect(0, Role::Passer)?;
        Ok(Self {
            crowd,
            batch: batch()?,
            begun_ns: VecDeque::new(),
            began: Instant::now(),
            seq: None,
            taken: 0,
        })
    }

    /// Hands over as much as may be on the way.
    fn send(&mut self) -> Result<(), BenchError> {
        if self.begun_ns.len() >= ANSWERS_AWAITED_MAX {
            return Ok(());
        }
        let out = self.crowd.outgoing(0).ok_or_else(|| ended(0))?;
        let now_ns = nanos(self.began);
        while self.begun_ns.len() < ANSWERS_AWAITED_MAX {
            out.extend_from_slice(&self.batch);
            self.begun_ns.push_back(now_ns);
        }
        self.crowd.flush(0)
    }

    fn hear(&mut self, latencies: &mut Option<&mut Histogram<u64>>) -> Result<(), BenchError> {
        let Self {
            crowd,
            begun_ns,
            began,
            seq,
            taken,
            ..
        } = self;
        crowd.turn(Some(WAIT_MAX), &mut |place, met| match met {
            Met::Payload(json) => {
                let wrong = || wrong_message(place, json);
                let answer: Answer = serde_json::from_slice(json).map_err(|_| wrong())?;
                let found = answer.sb.ack.seq;
                let before = seq.unwrap_or(found.wrapping_sub(PARCELS_AN_ANSWER));
                // Nobody else speaks here: each parcel is one entry.
                if found.wrapping_sub(before) != PARCELS_AN_ANSWER {
                    return Err(wrong());
                }
                *seq = Some(found);
                *taken += PARCELS_AN_ANSWER;
                let begun_ns = begun_ns.pop_front().ok_or_else(wrong)?;
                if let Some(latencies) = latencies {
                    latencies.saturating_record(nanos(*began).saturating_sub(begun_ns));
                }
                Ok(())
            }
            Met::In => Ok(()),
            Met::Out => Err(ended(place)),
        })
    }
}

impl Traffic for Parcels {
    fn go_on(
        &mut self,
        length: Duration,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.send()?;
            self.hear(latencies)?;
            self.crowd.check_silence("parcels to be answered")?;
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.taken
    }

    fn least(&self) -> u64 {
        ANSWERS_AWAITED_MAX as u64 * PARCELS_AN_ANSWER
    }

    fn stood_still(&mut self, pause: Duration) {
        self.began += pause;
        self.crowd.stood_still(pause);
    }
}

impl Talking for Parcels {
    fn finish(&mut self) -> Result<Checked, BenchError> {
        while !self.begun_ns.is_empty() && self.crowd.silence() < REST_SILENCE_MAX {
            self.hear(&mut None)?;
        }
        let lost = self.begun_ns.len() as u64 * PARCELS_AN_ANSWER;
        Ok(Checked {
            lost,
            reordered: 0,
            of: self.taken + lost,
        })
    }
}

/// As many parcels as come before an answer.
fn batch() -> Result<Vec<u8>, BenchError> {
    let message: Vec<u8> = (b'a'..=b'z').cycle().take(MESSAGE_BYTES).collect();
    let plain: &[u8] = br#"{"msg_type":"msg"}"#;
    let asking: &[u8] = br#"{"msg_type":"msg","sb":{"v":2,"want":["ack"]}}"#;
    let mut bytes = Vec::new();
    for number in 1..=PARCELS_AN_ANSWER {
        let header = if number == PARCELS_AN_ANSWER {
            asking
        } else {
            plain
        };
        for frame in [header, &message] {
            let length = i32::try_from(frame.len())
                .map_err(|_| BenchError::Invalid("a message above 2 GiB".to_owned()))?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(frame);
        }
    }
    Ok(bytes)
}
