//! What a room is about.

use std::fmt;

use crate::limits::TOPIC_CHARS_MAX;
use crate::text::clean;

/// A room's topic: one line of 1 to 200 characters, cleaned as [`clean`] does, without white space
/// around it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topic(String);

impl Topic {
    /// Cleans and checks a topic.
    ///
    /// # Errors
    /// [`TopicError`] says which rule it breaks.
    pub fn new(topic: &str) -> Result<Self, TopicError> {
        let topic = clean(topic);
        let topic = topic.trim();
        if topic.is_empty() {
            return Err(TopicError::Empty);
        }
        if topic.chars().take(TOPIC_CHARS_MAX + 1).count() > TOPIC_CHARS_MAX {
            return Err(TopicError::TooLong {
                max: TOPIC_CHARS_MAX,
            });
        }
        Ok(Self(topic.to_owned()))
    }

    /// The topic as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is no topic.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Nothing of it can be seen.
    #[error("a topic needs at least one character that can be seen")]
    Empty,
    /// It is too long.
    #[error("a topic has at most {max} characters")]
    TooLong {
        /// The most characters it may have.
        max: usize,
    },
}
