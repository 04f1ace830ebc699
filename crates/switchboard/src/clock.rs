//! The wall clock.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use switchboard_wire::strftime::Moment;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The local time.
pub(crate) fn now() -> Moment {
    let now = Zoned::now();
    let zone = now.time_zone().to_offset_info(now.timestamp());
    let small = |value: i8| value.unsigned_abs();
    Moment {
        year: i32::from(now.year()),
        month: small(now.month()),
        day: small(now.day()),
        hour: small(now.hour()),
        minute: small(now.minute()),
        second: small(now.second()),
        weekday: small(now.weekday().to_sunday_zero_offset()),
        year_day: now.day_of_year().unsigned_abs(),
        unix_seconds: now.timestamp().as_second(),
        offset_seconds: zone.offset().seconds(),
        zone: zone.abbreviation().to_owned(),
    }
}

/// Milliseconds since 1970-01-01 UTC; 0 before.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        since.as_secs() * 1000 + u64::from(since.subsec_millis())
    })
}

/// A number that will not come again, of 53 bits: what JSON's readers can all take.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(Timestamp::now().as_nanosecond()) >> 11
}

/// The local day, as ISO 8601 writes it.
pub(crate) fn today() -> String {
    Zoned::now().date().to_string()
}

/// A moment, in milliseconds since 1970, as local time to the second.
pub(crate) fn local(time_ms: i64) -> String {
    match Timestamp::from_millisecond(time_ms) {
        Ok(time) => {
            let local = time.to_zoned(TimeZone::system());
            local.strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        // Beyond year 9999 no clock was right.
        Err(_) => time_ms.to_string(),
    }
}

/// Reads a local day or moment of the command line, as milliseconds since 1970.
pub(crate) fn parse_local(text: &str) -> Result<i64, String> {
    let moment = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(|day| day.at(0, 0, 0, 0)));
    moment
        .and_then(|moment| moment.to_zoned(TimeZone::system()))
        .map(|moment| moment.timestamp().as_millisecond())
        .map_err(|_| "write it as 2026-01-31 or '2026-01-31 23:59'".to_owned())
}

/// The time before each line of the log: UTC, to the millisecond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogTime;

impl FormatTime for LogTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{:.3}", Timestamp::now())
    }
}
