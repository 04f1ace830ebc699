//! Time limits as the language has them: seconds, zero for no waiting, `None` for no limit.

use core::time::Duration;

use berkeley::Mode;

use super::MODULE;
use crate::py::{Exception, Integer, Module, Object, Owned, Result};

/// No limit. Limits are counted in nanoseconds; this is what C code that reads a socket's expects.
pub(super) const NONE: i64 = -NANOS;

const NANOS: i64 = 1_000_000_000;

/// How a socket with this limit waits.
#[inline]
pub(super) const fn mode(timeout: i64) -> Mode {
    match timeout {
        0 => Mode::NonBlock,
        ..0 => Mode::Block,
        nanos => Mode::Within(Duration::from_nanos(nanos.unsigned_abs())),
    }
}

/// Reads a limit.
///
/// # Errors
/// `ValueError` for a negative one and for no number, `OverflowError` for one that cannot be
/// counted, `TypeError` for what is no number at all.
pub(super) fn parse(object: &Object) -> Result<i64> {
    if object.is_none() {
        return Ok(NONE);
    }
    let nanos = nanos_of(object)?;
    if nanos < 0 {
        return Err(Exception::Value.raise("Timeout value out of range"));
    }
    Ok(nanos)
}

/// Seconds as nanoseconds, rounded away from zero so that no wait ends early.
///
/// # Errors
/// As [`parse`].
pub(crate) fn nanos_of(object: &Object) -> Result<i64> {
    const OVERFLOW: &str = "timestamp too large to convert to C _PyTime_t";
    if object.is_float() {
        let seconds = f64::of(object)?;
        if seconds.is_nan() {
            return Err(Exception::Value.raise("Invalid value NaN (not a number)"));
        }
        return round(seconds * NANOS as f64).ok_or_else(|| Exception::Overflow.raise(OVERFLOW));
    }
    let seconds = i64::of(object).map_err(|raised| {
        if raised.is(Exception::Overflow) {
            Exception::Overflow.raise(OVERFLOW)
        } else {
            raised
        }
    })?;
    seconds
        .checked_mul(NANOS)
        .ok_or_else(|| Exception::Overflow.raise(OVERFLOW))
}

/// The next integer away from zero, if it fits.
#[expect(clippy::cast_possible_truncation, reason = "within the limits")]
pub(crate) fn round(value: f64) -> Option<i64> {
    let away = if value < 0.0 {
        value.floor()
    } else {
        value.ceil()
    };
    // The greatest integer of 64 bits is no `f64`; the next one is.
    let limit = i64::MAX as f64;
    (away >= -limit && away < limit).then_some(away as i64)
}

/// A limit in seconds, or `None`.
pub(super) fn tell(timeout: i64) -> Result<Owned> {
    if timeout < 0 {
        return Ok(Owned::none());
    }
    Owned::float(timeout as f64 / NANOS as f64)
}

pub(super) fn get_default(module: &Module) -> Result<Owned> {
    tell(MODULE.state(module)?.default_timeout.get())
}

pub(super) fn set_default(module: &Module, timeout: &Object) -> Result<Owned> {
    let timeout = parse(timeout)?;
    MODULE.state(module)?.default_timeout.set(timeout);
    Ok(Owned::none())
}
