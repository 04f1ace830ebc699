//! What fields of a head mean to one who downloads.

use core::time::Duration;

use super::ResponseHead;
use crate::limits::HTTP_VALIDATOR_BYTES_MAX;

/// What two responses have in common exactly when their bytes are the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Validator {
    /// A strong entity tag, with its quotes.
    Tag(String),
    /// When it was last changed, at least a second before it was served.
    Modified(String),
}

impl Validator {
    /// The validator of a response, if it has one that can prove that bytes are the same. Weak tags
    /// cannot, nor can a date that the content may have been changed within.
    ///
    /// # References
    /// RFC 9110 §8.8.2.2, §8.8.3.
    #[must_use]
    pub fn of(head: &ResponseHead) -> Option<Self> {
        if let Some(tag) = head.field("etag") {
            return Self::tag(tag);
        }
        let modified = head.field("last-modified")?;
        let (served, changed) = (date(head.field("date")?)?, date(modified)?);
        (served > changed).then(|| Self::Modified(modified.to_owned()))
    }

    /// A strong entity tag; `None` for a weak one and for what is none.
    #[must_use]
    pub fn tag(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        // What is sent back must not be able to end its line.
        let is_tag = inner
            .chars()
            .all(|c| c != '"' && !c.is_control() && c != ' ');
        (is_tag && text.len() <= HTTP_VALIDATOR_BYTES_MAX).then(|| Self::Tag(text.to_owned()))
    }

    /// A date, as it was told; `None` for what is none.
    #[must_use]
    pub fn modified(text: &str) -> Option<Self> {
        date(text).map(|_| Self::Modified(text.to_owned()))
    }

    /// The text that stands in `If-Range`.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Tag(text) | Self::Modified(text) => text,
        }
    }

    /// Whether a response says that it is of the same bytes.
    #[must_use]
    pub fn matches(&self, head: &ResponseHead) -> bool {
        let field = match self {
            Self::Tag(_) => "etag",
            Self::Modified(_) => "last-modified",
        };
        head.field(field) == Some(self.text())
    }
}

/// Which bytes a partial response has.
///
/// # References
/// RFC 9110 §14.4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
    /// How many the whole has, if that is known.
    pub complete: Option<u64>,
}

impl ContentRange {
    /// The range of a partial response (206); `None` if it does not tell one that can be.
    #[must_use]
    pub fn of(head: &ResponseHead) -> Option<Self> {
        let (unit, range) = head.field("content-range")?.split_once(' ')?;
        let (range, complete) = range.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let complete = match complete {
            "*" => None,
            complete => Some(number(complete)?),
        };
        let (first, last) = (number(first)?, number(last)?);
        let fits = first <= last && complete.is_none_or(|complete| last < complete);
        (unit.eq_ignore_ascii_case("bytes") && fits).then_some(Self {
            first,
            last,
            complete,
        })
    }
}

/// How long the server asks to be left alone. A moment is counted from the response's own `Date`,
/// so that no clock has to be right.
///
/// # References
/// RFC 9110 §10.2.3.
#[must_use]
pub fn retry_after(head: &ResponseHead) -> Option<Duration> {
    let told = head.field("retry-after")?;
    if let Some(seconds) = number(told) {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (date(told)?, date(head.field("date")?)?);
    Some(Duration::from_secs(until.saturating_sub(now)))
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A moment in seconds since 1970.
fn date(text: &str) -> Option<u64> {
    let moment = httpdate::parse_http_date(text).ok()?;
    let since = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}
