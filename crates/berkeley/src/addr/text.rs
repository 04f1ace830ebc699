//! Addresses of the rarer families as text: a word and numbers, with colons between them.

use core::str::FromStr;

use crate::error::{Error, Result};

/// The fields of an address's text, taken from the front.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    text: &'a str,
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Begins behind the word, if the text begins with it.
    pub(super) fn of(text: &'a str, word: &str) -> Option<Self> {
        let rest = text.strip_prefix(word)?.strip_prefix(':')?;
        Some(Self {
            text,
            rest: Some(rest),
        })
    }

    /// Why the text is no address.
    pub(super) fn refused(&self, why: impl core::fmt::Display) -> Error {
        Error::Invalid(format!("{:?} is no address: {why}", self.text))
    }

    /// The next field, up to a colon; `None` behind the last one.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (field, rest) = match rest.split_once(':') {
            Some((field, rest)) => (field, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        Some(field)
    }

    /// The next field, which must be there.
    pub(super) fn required(&mut self, what: &str) -> Result<&'a str> {
        self.next()
            .ok_or_else(|| self.refused(format_args!("its {what} is missing")))
    }

    /// The next field as a number, in decimal or behind `0x` in hexadecimal.
    pub(super) fn number<T: FromStr + TryFrom<u64>>(&mut self, what: &str) -> Result<T> {
        let field = self.required(what)?;
        number(field)
            .ok_or_else(|| self.refused(format_args!("its {what} {field:?} is no number for it")))
    }

    /// The same, or zero if the text ends here.
    pub(super) fn number_or_zero<T: FromStr + TryFrom<u64> + Default>(
        &mut self,
        what: &str,
    ) -> Result<T> {
        match self.rest {
            None => Ok(T::default()),
            Some(_) => self.number(what),
        }
    }

    /// All that is left, colons included.
    pub(super) fn rest(&mut self) -> Option<&'a str> {
        self.rest.take()
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<()> {
        match self.rest {
            None => Ok(()),
            Some(rest) => Err(self.refused(format_args!("{rest:?} is too much"))),
        }
    }
}

fn number<T: FromStr + TryFrom<u64>>(field: &str) -> Option<T> {
    match field.strip_prefix("0x") {
        // `from_str_radix` would take a sign.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            T::try_from(u64::from_str_radix(digits, 16).ok()?).ok()
        }
        Some(_) => None,
        None => field.parse().ok(),
    }
}

/// Pairs of hexadecimal digits as bytes, with `mark` between them (or nothing).
pub(super) fn hex_bytes(text: &str, mark: &str, room: &mut [u8]) -> Option<usize> {
    let mut rest = text;
    let mut len = 0;
    while !rest.is_empty() {
        if len > 0 {
            rest = rest.strip_prefix(mark)?;
        }
        let pair = rest.get(..2)?;
        if !pair.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        *room.get_mut(len)? = u8::from_str_radix(pair, 16).ok()?;
        rest = rest.get(2..)?;
        len += 1;
    }
    Some(len)
}
