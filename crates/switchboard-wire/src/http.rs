//! HTTP/1.1 as one who downloads speaks it: a request out, a response in.
//!
//! A request is one value to bytes ([`get_request`]); a response is taken apart by
//! [`ResponseDecoder`], which knows where its body ends and tells a body that was cut from one that
//! is whole. What its head says about resuming, waiting and names is in [`Validator`],
//! [`ContentRange`], [`retry_after`] and [`download_name`].
//!
//! # References
//! RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 6266 and RFC 8187 (names of files).

mod chunked;
mod decoder;
mod disposition;
mod fields;
mod head;
mod request;
mod url;

pub use self::decoder::{HttpEvent, ResponseDecoder};
pub use self::disposition::download_name;
pub use self::fields::{ContentRange, Validator, retry_after};
pub use self::head::ResponseHead;
pub use self::request::get_request;
pub use self::url::{HttpOrigin, HttpUrl, UrlError};
use crate::limits::{HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_INTERIM_MAX};

/// Why a response cannot be used. Nothing behind it on the connection can be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The length of a chunk, or what stands around it, is wrong.
    #[error("a chunk of the body is malformed")]
    Chunk,
    /// The connection ended inside the response.
    #[error("{}", cut_words(*.received, *.announced))]
    Cut {
        /// Bytes of the body that came.
        received: u64,
        /// How many there should be, if that was said.
        announced: Option<u64>,
    },
    /// The head, or the fields behind a chunked body, are longer than
    /// [`HTTP_HEAD_BYTES_MAX`].
    #[error("the head is longer than {HTTP_HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// There are too many interim responses.
    #[error("more than {HTTP_INTERIM_MAX} interim responses")]
    Interim,
    /// `Content-Length` is no number, or several that differ.
    #[error("its Content-Length is malformed or contradicts itself")]
    Length,
    /// The head is not HTTP's.
    #[error("the head is malformed ({0})")]
    Malformed(httparse::Error),
    /// The connection ended before anything came.
    #[error("the connection ended without an answer")]
    NoAnswer,
    /// What came is not HTTP/1.
    #[error("that is not HTTP/1.1")]
    NotHttp,
    /// The head has more than [`HTTP_FIELDS_MAX`] fields.
    #[error("the head has more than {HTTP_FIELDS_MAX} fields")]
    TooManyFields,
    /// The body is encoded for the way in a form that was not asked for.
    #[error("its Transfer-Encoding was not asked for")]
    TransferEncoding,
    /// The server changes to a protocol that nobody asked for (101).
    #[error("it switches to another protocol")]
    Upgrade,
}

fn cut_words(received: u64, announced: Option<u64>) -> String {
    match announced {
        Some(announced) => format!("the body was cut: {received} of {announced} bytes came"),
        None => format!("the response was cut after {received} bytes of its body"),
    }
}
