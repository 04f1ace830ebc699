//! What is said in a room, and whether each who listens hears all of it, once and in order.

use hdrhistogram::Histogram;

use crate::BenchError;

/// The shortest payload: the speaker, the number, and something to compare.
pub(super) const PAYLOAD_BYTES_MIN: usize = 32;

/// The most messages on the way at once.
pub(super) const WINDOW_MAX: usize = 1024;

/// The most speakers: two digits.
pub(super) const SPEAKERS_MAX: usize = 100;

/// Where in a payload the number stands, in hexadecimal.
const NUMBER: core::ops::Range<usize> = 3..19;

/// One speaker's messages that are on the way.
#[derive(Debug)]
struct Speech {
    /// Messages so far.
    said: u64,
    /// All before this one have been heard by everybody.
    done: u64,
    /// The payloads of the latest messages, side by side.
    payloads: Vec<u8>,
    /// When each was handed over, in nanoseconds.
    begun_ns: Vec<u64>,
    /// How many have not heard it yet.
    missing: Vec<usize>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Messages that were heard.
    pub(super) heard: u64,
    /// Messages that were passed over, and did not come later.
    pub(super) lost: u64,
    /// Messages that came behind a later one, or twice.
    pub(super) reordered: u64,
}

/// All that is said and heard.
#[derive(Debug)]
pub(super) struct Talk {
    payload_bytes: usize,
    /// Messages of one speaker that are kept; a power of two.
    kept: usize,
    /// Messages of one speaker that may be on the way.
    window: u64,
    /// How many hear each message.
    ears: usize,
    speeches: Vec<Speech>,
    /// The number that comes next, for each who listens and each speaker.
    next: Vec<u64>,
    pub(super) counts: Counts,
    /// Latencies that are the same, not told yet: they come in heaps.
    latency_ns: u64,
    latencies: u64,
}

impl Talk {
    /// Of so many speakers, who are among `listeners`, and of whose messages each is heard by
    /// `ears`; with so many on the way at once.
    pub(super) fn new(
        payload_bytes: usize,
        speakers: usize,
        listeners: usize,
        ears: usize,
        window: usize,
    ) -> Self {
        let window = (window / speakers.max(1)).max(1);
        let kept = window.next_power_of_two();
        let speech = |speaker| Speech {
            said: 0,
            done: 0,
            payloads: template(speaker, payload_bytes).repeat(kept),
            begun_ns: vec![0; kept],
            missing: vec![0; kept],
        };
        Self {
            payload_bytes,
            kept,
            window: window as u64,
            ears,
            speeches: (0..speakers).map(speech).collect(),
            next: vec![0; listeners * speakers],
            counts: Counts::default(),
            latency_ns: 0,
            latencies: 0,
        }
    }

    pub(super) fn speakers(&self) -> usize {
        self.speeches.len()
    }

    /// How many hear each message.
    pub(super) const fn ears(&self) -> usize {
        self.ears
    }

    /// Deliveries that may be on the way at once.
    pub(super) fn on_the_way_max(&self) -> u64 {
        self.window * (self.speeches.len() * self.ears) as u64
    }

    /// Whether everybody has heard everything.
    pub(super) fn is_over(&self) -> bool {
        let is_over = |speech: &Speech| speech.done == speech.said;
        self.speeches.iter().all(is_over)
    }

    /// The next message of a speaker, unless too many are on the way.
    pub(super) fn say(&mut self, speaker: usize, now_ns: u64) -> Option<&[u8]> {
        let speech = self.speeches.get_mut(speaker)?;
        if speech.said - speech.done >= self.window {
            return None;
        }
        let slot = slot(speech.said, self.kept);
        let from = slot * self.payload_bytes;
        let payload = speech.payloads.get_mut(from..from + self.payload_bytes)?;
        write_number(payload.get_mut(NUMBER)?, speech.said);
        *speech.begun_ns.get_mut(slot)? = now_ns;
        *speech.missing.get_mut(slot)? = self.ears;
        speech.said += 1;
        Some(payload)
    }

    /// Somebody hears a payload.
    ///
    /// # Errors
    /// It is nothing that was said.
    pub(super) fn hear(
        &mut self,
        listener: usize,
        payload: &[u8],
        now_ns: u64,
        latencies: &mut Option<&mut Histogram<u64>>,
    ) -> Result<(), BenchError> {
        let wrong = || wrong_message(listener, payload);
        let speaker = speaker_of(payload).ok_or_else(wrong)?;
        let place = listener * self.speeches.len() + speaker;
        let speech = self.speeches.get_mut(speaker).ok_or_else(wrong)?;
        let next = self.next.get_mut(place).ok_or_else(wrong)?;
        let at = slot(*next, self.kept);
        let from = at * self.payload_bytes;
        let expected = speech.payloads.get(from..from + self.payload_bytes);
        if *next >= speech.said || expected != Some(payload) {
            let number = number_of(payload).filter(|number| *number < speech.said);
            let number = number.filter(|number| number != next).ok_or_else(wrong)?;
            if *next > number {
                self.counts.reordered += 1;
                self.counts.lost = self.counts.lost.saturating_sub(1);
                return Ok(());
            }
            // What was passed over counts as heard for the speaker, who else would wait for ever.
            self.counts.lost += number - *next;
            (*next..number).for_each(|passed| speech.heard(slot(passed, self.kept)));
            *next = number;
            return self.hear(listener, payload, now_ns, latencies);
        }
        *next += 1;
        self.counts.heard += 1;
        let begun_ns = speech.begun_ns.get(at).copied().unwrap_or(now_ns);
        speech.heard(at);
        speech.advance(self.kept);
        if let Some(latencies) = latencies {
            let latency_ns = now_ns.saturating_sub(begun_ns);
            if latency_ns != self.latency_ns {
                self.tell_latencies(latencies);
                self.latency_ns = latency_ns;
            }
            self.latencies += 1;
        }
        Ok(())
    }

    /// Tells what is not told yet.
    pub(super) fn tell_latencies(&mut self, latencies: &mut Histogram<u64>) {
        latencies.saturating_record_n(self.latency_ns, self.latencies);
        self.latencies = 0;
    }

    /// All that is still on the way is lost.
    pub(super) fn give_up(&mut self) {
        for speech in &mut self.speeches {
            for number in speech.done..speech.said {
                let missing = speech.missing.get(slot(number, self.kept));
                self.counts.lost += missing.map_or(0, |missing| *missing as u64);
            }
            speech.done = speech.said;
        }
    }
}

impl Speech {
    fn heard(&mut self, slot: usize) {
        if let Some(missing) = self.missing.get_mut(slot) {
            *missing = missing.saturating_sub(1);
        }
    }

    fn advance(&mut self, kept: usize) {
        while self.done < self.said && self.missing.get(slot(self.done, kept)) == Some(&0) {
            self.done += 1;
        }
    }
}

/// Somebody heard what nobody said, or not to it.
pub(super) fn wrong_message(listener: usize, came: &[u8]) -> BenchError {
    BenchError::WrongMessage {
        listener,
        came: came.escape_ascii().take(80).map(char::from).collect(),
    }
}

fn slot(number: u64, kept: usize) -> usize {
    usize::try_from(number).unwrap_or(0) & (kept - 1)
}

/// A payload without its number: `07 0000000000000000 abcdef…`. It is text, which all take.
fn template(speaker: usize, bytes: usize) -> Vec<u8> {
    let head = format!("{speaker:02} {:016x} ", 0).into_bytes();
    let letters = (b'a'..=b'z').cycle().skip(speaker);
    head.into_iter().chain(letters).take(bytes).collect()
}

/// Adds a payload with its number.
pub(super) fn write_payload(speaker: usize, number: u64, bytes: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&template(speaker, bytes));
    if let Some(digits) = out.get_mut(start + NUMBER.start..start + NUMBER.end) {
        write_number(digits, number);
    }
}

fn write_number(digits: &mut [u8], number: u64) {
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let value = u32::try_from((number >> (4 * place)) & 15).unwrap_or(0);
        *digit = char::from_digit(value, 16).map_or(b'0', |digit| digit as u8);
    }
}

/// Who says so, by the two digits it begins with.
pub(super) fn speaker_of(payload: &[u8]) -> Option<usize> {
    let digit = |place: usize| {
        let byte = *payload.get(place)?;
        byte.is_ascii_digit().then(|| usize::from(byte - b'0'))
    };
    Some(digit(0)? * 10 + digit(1)?)
}

fn number_of(payload: &[u8]) -> Option<u64> {
    let digits = core::str::from_utf8(payload.get(NUMBER)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Talk};
    use crate::BenchError;
    use crate::load::histogram;

    const BYTES: usize = 40;

    /// Two speakers, who hear each other, and two more: four who listen, three of them each time.
    fn talk() -> Talk {
        Talk::new(BYTES, 2, 4, 3, 16)
    }

    fn say(talk: &mut Talk, speaker: usize) -> Vec<u8> {
        talk.say(speaker, 1000).unwrap().to_vec()
    }

    fn hear(talk: &mut Talk, listener: usize, payload: &[u8]) -> Result<(), BenchError> {
        talk.hear(listener, payload, 3000, &mut None)
    }

    #[test]
    fn no_more_than_the_window_is_on_the_way() {
        let mut talk = talk();
        let said: Vec<Vec<u8>> = (0..8).map(|_| say(&mut talk, 0)).collect();
        assert!(talk.say(0, 0).is_none());
        assert!(talk.say(1, 0).is_some());
        for listener in [1, 2] {
            hear(&mut talk, listener, &said[0]).unwrap();
            assert!(talk.say(0, 0).is_none());
        }
        hear(&mut talk, 3, &said[0]).unwrap();
        assert!(talk.say(0, 0).is_some());
        assert!(talk.say(0, 0).is_none());
    }

    #[test]
    fn each_who_hears_is_counted_with_its_latency() {
        let mut talk = talk();
        let mut latencies = histogram().unwrap();
        for _ in 0..100 {
            let said = [say(&mut talk, 0), say(&mut talk, 1)];
            for (listener, speaker) in [(0, 1), (1, 0), (2, 0), (2, 1), (3, 1), (3, 0)] {
                let told = &mut Some(&mut latencies);
                talk.hear(listener, &said[speaker], 3000, told).unwrap();
            }
        }
        talk.tell_latencies(&mut latencies);
        assert!(talk.is_over());
        assert_eq!(latencies.len(), 600);
        // To two digits, as the histogram keeps them.
        assert!(latencies.min() > 1980 && latencies.max() < 2020);
        let heard = 600;
        assert_eq!(
            talk.counts,
            Counts {
                heard,
                lost: 0,
                reordered: 0
            }
        );
    }

    #[test]
    fn what_is_passed_over_is_lost_and_what_comes_late_is_out_of_order() {
        let mut talk = talk();
        let said: Vec<Vec<u8>> = (0..4).map(|_| say(&mut talk, 0)).collect();
        hear(&mut talk, 2, &said[0]).unwrap();
        hear(&mut talk, 2, &said[3]).unwrap();
        assert_eq!((talk.counts.lost, talk.counts.reordered), (2, 0));
        hear(&mut talk, 2, &said[1]).unwrap();
        assert_eq!((talk.counts.lost, talk.counts.reordered), (1, 1));
        for (listener, said) in [1, 3]
            .iter()
            .flat_map(|one| said.iter().map(move |said| (*one, said)))
        {
            hear(&mut talk, listener, said).unwrap();
        }
        // Who speaks does not wait for what is lost.
        assert!(talk.is_over());
        assert_eq!(talk.counts.heard, 2 + 8);
    }

    #[test]
    fn what_never_comes_is_lost_in_the_end() {
        let mut talk = talk();
        let said = say(&mut talk, 1);
        hear(&mut talk, 0, &said).unwrap();
        assert!(!talk.is_over());
        talk.give_up();
        assert!(talk.is_over());
        assert_eq!(talk.counts.lost, 2);
    }

    #[test]
    fn what_was_never_said_is_an_error() {
        let mut talk = talk();
        let said = say(&mut talk, 0);
        let mut changed = said.clone();
        changed[BYTES - 1] ^= 1;
        let mut early = said.clone();
        early[18] = b'1';
        let mut nobody = said.clone();
        nobody[0] = b'9';
        for payload in [
            &changed,
            &early,
            &nobody,
            &said[..BYTES - 1].to_vec(),
            &vec![],
        ] {
            let found = hear(&mut talk, 2, payload).unwrap_err();
            assert!(
                matches!(found, BenchError::WrongMessage { listener: 2, .. }),
                "{found}"
            );
        }
        hear(&mut talk, 2, &said).unwrap();
        assert_eq!(talk.counts.heard, 1);
    }
}
