//! JSON objects by hand: fields in one order, so that one thing has one encoding.

use std::fmt::Write;

use serde_json::Value;

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
