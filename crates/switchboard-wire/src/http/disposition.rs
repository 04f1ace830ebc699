//! What a downloaded file is called.

use percent_encoding::percent_decode_str;

use super::{HttpUrl, ResponseHead};
use crate::FileName;

/// The name of an address that ends in `/`.
const INDEX: &str = "index.html";

/// What to call what an address gives: by `Content-Disposition`, or else by the last part of the
/// address's path. Without a head it is what the address alone says.
///
/// It is a [`FileName`] that does not begin with a dot: strangers hide no files and configure
/// nobody's shell.
///
/// # References
/// RFC 6266 §4.3, RFC 8187.
#[must_use]
pub fn download_name(url: &HttpUrl, head: Option<&ResponseHead>) -> FileName {
    let told = head.and_then(|head| head.field("content-disposition"));
    let told = told.and_then(disposition_name);
    let own = || {
        let last = url.path().rsplit('/').next().unwrap_or_default();
        match last {
            "" => INDEX.to_owned(),
            last => percent_decode_str(last).decode_utf8_lossy().into_owned(),
        }
    };
    told.and_then(|name| visible(&name))
        .or_else(|| visible(&own()))
        .unwrap_or_else(FileName::nameless)
}

fn visible(raw: &str) -> Option<FileName> {
    let name = FileName::reduce(raw).ok()?;
    if name.as_str().starts_with('.') {
        return FileName::reduce(&format!("_{name}")).ok();
    }
    Some(name)
}

/// The name in a `Content-Disposition`: `filename*` before `filename`.
fn disposition_name(value: &str) -> Option<String> {
    let (_, mut rest) = value.split_once(';')?;
    let mut plain = None;
    while let Some((name, value, after)) = parameter(rest) {
        rest = after;
        match name.to_ascii_lowercase().as_str() {
            "filename*" => {
                if let Some(name) = extended(&value) {
                    return Some(name);
                }
            }
            "filename" => plain = plain.or(Some(value)),
            _ => {}
        }
    }
    plain
}

/// The first parameter, its value without quotes, and what stands behind it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', '\t', ';']);
    let (name, value) = text.split_once('=')?;
    let value = value.trim_start();
    let Some(quoted) = value.strip_prefix('"') else {
        let (value, after) = value.split_once(';').unwrap_or((value, ""));
        return Some((name.trim(), value.trim().to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    Some((name.trim(), value, chars.as_str()))
}

/// `UTF-8'en'na%C3%AFve`: the character set, the language, the text.
fn extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, text) = rest.split_once('\'')?;
    let bytes = percent_decode_str(text);
    if charset.eq_ignore_ascii_case("utf-8") {
        return Some(bytes.decode_utf8().ok()?.into_owned());
    }
    let is_latin = charset.eq_ignore_ascii_case("iso-8859-1");
    is_latin.then(|| bytes.map(char::from).collect())
}
