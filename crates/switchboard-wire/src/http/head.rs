//! The head of a response: its status and its fields.

use super::HttpError;
use crate::limits::HTTP_FIELDS_MAX;

/// The head of a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseHead {
    status: u16,
    minor_version: u8,
    reason: String,
    fields: Vec<(String, String)>,
}

impl ResponseHead {
    /// Reads a whole head.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HttpError> {
        let mut fields = [httparse::EMPTY_HEADER; HTTP_FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(HttpError::Malformed(httparse::Error::NewLine));
            }
            Err(httparse::Error::TooManyHeaders) => return Err(HttpError::TooManyFields),
            Err(httparse::Error::Version) => return Err(HttpError::NotHttp),
            Err(error) => return Err(HttpError::Malformed(error)),
        }
        let fields = response.headers.iter();
        Ok(Self {
            status: response.code.unwrap_or_default(),
            minor_version: response.version.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
            fields: fields
                .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
                .collect(),
        })
    }

    /// The status code (RFC 9110 §15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// What the server calls the status, which may be nothing.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// HTTP/1.1 and not 1.0.
    pub(super) const fn is_1_1(&self) -> bool {
        self.minor_version >= 1
    }

    /// The first field of this name, which is written in lower case here.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| known == name)?;
        Some(value.trim())
    }

    /// All fields of this name, in their order.
    pub(super) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter();
        fields
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.trim())
    }

    /// Whether a list, such as `Connection`, has this word, which is written in lower case here.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        let mut words = self.fields(name).flat_map(|value| value.split(','));
        words.any(|listed| listed.trim().eq_ignore_ascii_case(word))
    }
}

/// UTF-8 where it is that, else Latin 1, which every byte is.
fn text(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
