//! What the peer says of the files that it is asked about.

use switchboard_wire::{Answer, ContentHash, Delivered, DeliveryDecoder, clean};

/// Reads the peer's answers. A peer that sends anything else answers nothing.
#[derive(Debug)]
pub(super) struct Answers {
    /// `None` once something came that is no answer.
    decoder: Option<DeliveryDecoder>,
    /// The last answer: of which file the peer has how many bytes.
    have: Option<(ContentHash, u64)>,
    /// Why the peer did not take something.
    refused: Option<String>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            decoder: Some(DeliveryDecoder::new()),
            have: None,
            refused: None,
        }
    }

    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while let Some(decoder) = &mut self.decoder {
            match decoder.push(&mut bytes) {
                Ok(Some(Delivered::Answer(Answer::Have { hash, bytes, .. }))) => {
                    self.have = Some((hash, bytes));
                }
                Ok(Some(Delivered::Answer(Answer::Refused { reason, .. }))) => {
                    self.refused = Some(clean(&reason).into_owned());
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_no_answers) => self.decoder = None,
            }
        }
    }

    /// How many bytes of this file the peer has, if it has said so.
    pub(super) fn have(&self, hash: ContentHash) -> Option<u64> {
        let (of, bytes) = self.have?;
        (of == hash).then_some(bytes)
    }

    /// Why the peer did not take something, if it has said so.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Whether the peer is one that answers.
    pub(super) const fn has_answered(&self) -> bool {
        self.have.is_some()
    }

    /// Whether the peer may still answer.
    pub(super) const fn may_answer(&self) -> bool {
        self.decoder.is_some()
    }
}
