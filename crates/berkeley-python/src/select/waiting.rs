//! Time limits of waits.

use core::time::Duration;

use crate::py::{Exception, Integer, Object, Result};
use crate::socket::{nanos_of, round_away};

const NANOS_PER_MS: i64 = 1_000_000;

/// A limit in milliseconds, at most as many as C's `int` counts; a negative one and `None` are no
/// limit.
///
/// # Errors
/// `TypeError` for what is no number, `OverflowError` for one that cannot be counted.
pub(super) fn in_milliseconds(limit: Option<&Object>) -> Result<Option<Duration>> {
    let Some(limit) = limit.filter(|limit| !limit.is_none()) else {
        return Ok(None);
    };
    let ms = if limit.is_float() {
        let ms = f64::of(limit)?;
        if ms.is_nan() {
            return Err(Exception::Value.raise("Invalid value NaN (not a number)"));
        }
        round_away(ms)
    } else {
        Some(i64::of(limit).map_err(|raised| not_a_number(raised, "an integer"))?)
    };
    let too_large = || Exception::Overflow.raise("timeout is too large");
    let ms = ms.ok_or_else(too_large)?;
    let ms = i32::try_from(ms).map_err(|_too_large| too_large())?;
    Ok(u64::try_from(ms).ok().map(Duration::from_millis))
}

/// The same in seconds.
///
/// # Errors
/// As [`in_milliseconds`].
pub(crate) fn in_seconds(limit: Option<&Object>) -> Result<Option<Duration>> {
    let Some(limit) = limit.filter(|limit| !limit.is_none()) else {
        return Ok(None);
    };
    let nanos = nanos_of(limit).map_err(|raised| not_a_number(raised, "an integer"))?;
    if nanos / NANOS_PER_MS > i64::from(i32::MAX) {
        return Err(Exception::Overflow.raise("timeout is too large"));
    }
    Ok(u64::try_from(nanos).ok().map(Duration::from_nanos))
}

/// The same where a negative one is an error.
///
/// # Errors
/// As [`in_milliseconds`]; `ValueError` for a negative one.
pub(super) fn of_select(limit: Option<&Object>) -> Result<Option<Duration>> {
    let Some(limit) = limit.filter(|limit| !limit.is_none()) else {
        return Ok(None);
    };
    let nanos = nanos_of(limit).map_err(|raised| not_a_number(raised, "a float"))?;
    match u64::try_from(nanos) {
        Ok(nanos) => Ok(Some(Duration::from_nanos(nanos))),
        Err(_negative) => Err(Exception::Value.raise("timeout must be non-negative")),
    }
}

#[cold]
fn not_a_number(raised: crate::py::Raised, what: &str) -> crate::py::Raised {
    if !raised.is(Exception::Type) {
        return raised;
    }
    raised.forget();
    Exception::Type.raise(&format!("timeout must be {what} or None"))
}
