//! The one request there is: GET.

use super::{HttpUrl, Validator};

/// Who asks.
const USER_AGENT: &str = concat!("switchboard/", env!("CARGO_PKG_VERSION"));

/// A GET request for all of it; or for what is behind the first `offset` bytes, if it is still
/// what the validator says, and else for all.
///
/// The content is asked for as it is, not compressed.
///
/// # References
/// RFC 9112 §3, RFC 9110 §13.1.5 (`If-Range`), §14.2 (`Range`).
#[must_use]
pub fn get_request(url: &HttpUrl, resume: Option<(u64, &Validator)>) -> Vec<u8> {
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\n",
        url.target(),
        url.authority(),
    );
    if let Some((offset, validator)) = resume {
        request += &format!(
            "Range: bytes={offset}-\r\nIf-Range: {}\r\n",
            validator.text()
        );
    }
    request += "\r\n";
    request.into_bytes()
}
