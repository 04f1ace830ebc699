//! JSON objects by hand: fields in one order, so that one thing has one encoding.

use std::fmt::Write;

use serde_json::Value;

use crate::limits::JSON_DEPTH_MAX;

/// Reads a value, which may not nest deeper than [`JSON_DEPTH_MAX`].
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    if depth(bytes) > JSON_DEPTH_MAX {
        return Err(format!("it nests deeper than {JSON_DEPTH_MAX}"));
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// How deep arrays and objects nest, at most: what is within texts does not count.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Writes an object field by field.
pub(crate) struct Json(String);

impl Json {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() + 1
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if value.bytes().all(is_plain) {
            self.0.push('"');
            self.0.push_str(value);
            self.0.push('"');
        } else {
            self.show(Value::from(value));
        }
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.show(value);
    }

    pub(crate) fn truth(&mut self, key: &str, value: bool) {
        self.key(key);
        self.show(value);
    }

    pub(crate) fn texts(&mut self, key: &str, values: &[&str]) {
        self.key(key);
        self.show(Value::from(values));
    }

    pub(crate) fn object(&mut self, key: &str, object: Self) {
        self.key(key);
        self.0.push_str(&object.end());
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn show(&mut self, value: impl std::fmt::Display) {
        // Writing into a string cannot fail.
        write!(self.0, "{value}").ok();
    }
}
