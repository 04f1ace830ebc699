//! The wall clock as text: `strftime` in the C locale, and the answer to a time request.
//!
//! The time service (UDP 9000) lets the asker choose the format, so the format is untrusted bytes.
//! [`strftime`] gives for it, byte for byte, what glibc 2.36 gives in the C locale, the odd cases
//! included, except where a bound is needed (told at the function). [`answer`] is what
//! goes into the datagram back.
//!
//! This module reads no clock and knows no time zones: the caller brings a [`Moment`].
//! Nothing here panics, whatever the format and whatever the moment's numbers; work is linear in
//! the length of the format and ends once the answer is full.
//!
//! # References
//! strftime(3); POSIX.1-2024 `strftime`; ISO 8601 for weeks (`%G`, `%g`, `%V`); the C standard's
//! locale "C" for names.

use std::str;

/// The format of an empty request: date and time of day, `2026-11-21 08:01:01`.
pub const DEFAULT_FORMAT: &str = "%Y-%m-%d %X";

/// The answer to a request that is not UTF-8.
pub const NOT_UTF8_ANSWER: &str = "error: the format is not valid UTF-8";

/// The widest field: a larger width, as in `%1000d`, counts as this one.
///
/// Enough for any column (the longest number, `%s`, has 20 characters), and small enough that a
/// short request does not become a long answer: glibc makes 52 KB of 204 times `%255Y`.
pub const FIELD_WIDTH_MAX: usize = 32;

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment as a wall clock shows it: what C calls `struct tm`, plus what `%s`, `%z` and `%Z` need.
///
/// The fields are not checked against each other; each conversion prints what it is given. A month
/// or weekday that does not exist has the name `?`, as in glibc.
///
/// ```
/// use switchboard_wire::strftime::{Moment, strftime};
///
/// let moment = Moment {
///     year: 2025, month: 12, day: 31, hour: 20, minute: 1, second: 1,
///     weekday: 3, year_day: 365,
///     unix_seconds: 1_767_229_261, offset_seconds: -18_000, zone: "EST".to_owned(),
/// };
/// assert_eq!(strftime(b"%a %_d %b, week %V of %G, %T%z", &moment, 1_024),
///            b"Wed 31 Dec, week 01 of 2026, 20:01:01-0500");
/// ```
///
/// # References
/// tm(3type); strftime(3).
#[doc(alias = "tm")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Year of the common era; 0 is the year before 1, and years before it are negative.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60 (60 is a leap second).
    pub second: u8,
    /// Day of the week, 0 (Sunday) to 6 (Saturday).
    pub weekday: u8,
    /// Day of the year, 1 to 366 (C counts from 0).
    pub year_day: u16,
    /// Seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted, for `%s`.
    pub unix_seconds: i64,
    /// Seconds east of UTC, for `%z`, which leaves out what is less than a minute.
    pub offset_seconds: i32,
    /// The zone's short name for `%Z`, as `CET`; may be empty.
    pub zone: String,
}

/// The whole answer to a time request: the moment in the format that was asked for.
///
/// An empty request means [`DEFAULT_FORMAT`], and one that is not UTF-8 is answered with
/// [`NOT_UTF8_ANSWER`]. A format that comes to nothing, as `%Z` does for a zone without a name, is
/// answered with itself, so that the asker never waits for an empty datagram.
///
/// The answer is UTF-8, is never longer than `max` bytes, and is empty only if not even the first
/// character fits into `max` (never for `max` of 4 and more).
#[must_use]
pub fn answer(request: &[u8], moment: &Moment, max: usize) -> Vec<u8> {
    let format = match request {
        [] => DEFAULT_FORMAT.as_bytes(),
        _ => request,
    };
    let mut out = Sink::new(max);
    if str::from_utf8(format).is_err() {
        out.text(NOT_UTF8_ANSWER.as_bytes(), Case::Keep);
        return out.finish();
    }
    let text = strftime(format, moment, max);
    if text.is_empty() {
        out.text(format, Case::Keep);
        return out.finish();
    }
    text
}

/// Formats `moment` as glibc's `strftime` does in the C locale.
///
/// A conversion is `%`, flags (`_` pad with spaces, `-` do not pad, `0` pad with zeros, `^` upper
/// case, `#` the other case), a width, a modifier (`E` or `O`, without effect in the C locale), and
/// a letter. The last of several padding flags wins. A flag for padding or case does not reach into
/// a letter that stands for several others (`%c`, `%D`, `%F`, `%r`, `%R`, `%T`, `%x`, `%X`): there
/// the width pads and `^` raises the whole. What is unknown or unfinished, `%Q` or `%-` at the end,
/// or has a modifier where none belongs, `%Ed`, is answered with itself, padded to its width and
/// raised by `^`; so is `%+`, for which glibc has no meaning. Everything else passes unchanged.
///
/// Two things differ from glibc. A width above [`FIELD_WIDTH_MAX`] counts as that. A zero byte is
/// text like any other; C ends the format there.
///
/// At most `max` bytes are written, where glibc would write nothing at all. An answer that would be
/// longer is cut, if need be up to three bytes earlier so that no UTF-8 character is split.
///
/// # References
/// strftime(3), "Glibc notes".
#[must_use]
pub fn strftime(format: &[u8], moment: &Moment, max: usize) -> Vec<u8> {
    let mut out = Sink::new(max);
    let mut rest = format;
    while !out.overflowed && !rest.is_empty() {
        let percent = rest.iter().position(|&byte| byte == b'%');
        let (text, conversion) = rest.split_at(percent.unwrap_or(rest.len()));
        out.text(text, Case::Keep);
        rest = if conversion.is_empty() {
            conversion
        } else {
            let field = Field::parse(conversion);
            field.write(moment, &mut out);
            conversion.get(field.source.len()..).unwrap_or_default()
        };
    }
    out.finish()
}

/// One conversion of a format, as written.
#[derive(Default)]
struct Field<'format> {
    /// All of it, from the `%` up to the letter.
    source: &'format [u8],
    /// The padding that was asked for, or none if the letter decides.
    pad: Option<Pad>,
    /// The flag `^`.
    is_raised: bool,
    /// The flag `#`.
    is_case_changed: bool,
    /// At most [`FIELD_WIDTH_MAX`]; 0 if not given.
    width: usize,
    modifier: Option<u8>,
    /// None if the format ends before it.
    letter: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pad {
    Nothing,
    Spaces,
    Zeros,
}

#[derive(Clone, Copy)]
enum Case {
    Keep,
    Lower,
    Upper,
}

impl<'format> Field<'format> {
    /// Reads the conversion at the start of `format`, which begins with `%`.
    fn parse(format: &'format [u8]) -> Self {
        let mut field = Self {
            source: format,
            ..Self::default()
        };
        let mut bytes = format.iter().copied().enumerate().skip(1).peekable();
        while let Some((_, byte)) = bytes.next_if(|(_, byte)| b"_-0^#".contains(byte)) {
            match byte {
                b'_' => field.pad = Some(Pad::Spaces),
                b'-' => field.pad = Some(Pad::Nothing),
                b'0' => field.pad = Some(Pad::Zeros),
                b'^' => field.is_raised = true,
                _ => field.is_case_changed = true,
            }
        }
        while let Some((_, digit)) = bytes.next_if(|(_, byte)| byte.is_ascii_digit()) {
            let digit = usize::from(digit.saturating_sub(b'0'));
            // Stays below 330 however many digits come.
            field.width = (field.width * 10 + digit).min(FIELD_WIDTH_MAX);
        }
        let modifier = bytes.next_if(|(_, byte)| b"EO".contains(byte));
        field.modifier = modifier.map(|(_, byte)| byte);
        if let Some((at, letter)) = bytes.next() {
            field.letter = Some(letter);
            field.source = format.get(..=at).unwrap_or(format);
        }
        field
    }

    fn write(&self, moment: &Moment, out: &mut Sink) {
        // A zero byte is no conversion, so it stands for a letter that is missing or refused.
        let letter = self.letter.filter(|_| self.allows_modifier()).unwrap_or(0);
        if let Some((value, digits)) = number(letter, moment) {
            self.write_number(value, digits, out);
        } else if let Some(word) = word(letter, moment) {
            self.write_text(word.as_bytes(), out);
        } else if let Some(parts) = parts(letter) {
            self.write_text(&strftime(parts, moment, usize::MAX), out);
        } else if letter == b's' {
            // glibc pads it as a word: no zeros unless asked for, and those before the sign.
            self.write_text(moment.unix_seconds.to_string().as_bytes(), out);
        } else if letter == b'z' {
            self.write_offset(moment.offset_seconds, out);
        } else {
            self.write_text(self.source, out);
        }
    }

    /// Whether glibc takes the modifier on this letter.
    fn allows_modifier(&self) -> bool {
        let refused: &[u8] = match self.modifier {
            Some(b'E') => b"aAbBdDeFgGhHIjklmMSUVwW",
            Some(_) => b"aAcDFxXY",
            None => b"",
        };
        self.letter.is_none_or(|letter| !refused.contains(&letter))
    }

    fn case(&self) -> Case {
        match self.letter {
            Some(b'P') => Case::Lower,
            Some(b'p' | b'Z') if self.is_case_changed => Case::Lower,
            // glibc obeys `#` here before it looks at the modifier: `%#Eb` is answered `%#EB`.
            Some(b'b' | b'B' | b'h') if self.is_case_changed => Case::Upper,
            Some(b'a' | b'A') if self.is_case_changed && self.modifier.is_none() => Case::Upper,
            _ if self.is_raised => Case::Upper,
            _ => Case::Keep,
        }
    }

    /// Writes text after its padding.
    fn write_text(&self, text: &[u8], out: &mut Sink) {
        let has_zeros = self.pad == Some(Pad::Zeros);
        let pad = if has_zeros { b'0' } else { b' ' };
        out.fill(pad, self.width.saturating_sub(text.len()));
        out.text(text, self.case());
    }

    /// Writes a number with at least `digits` characters, its sign counted, unless `-` forbids it.
    fn write_number(&self, value: i64, digits: usize, out: &mut Sink) {
        let pad = self.pad.unwrap_or(match self.letter {
            Some(b'e' | b'k' | b'l') => Pad::Spaces,
            _ => Pad::Zeros,
        });
        let least = if pad == Pad::Nothing { 0 } else { digits };
        let sign = if value < 0 { "-" } else { "" };
        let magnitude = value.unsigned_abs().to_string();
        let missing = self
            .width
            .max(least)
            .saturating_sub(sign.len() + magnitude.len());
        if pad != Pad::Zeros {
            out.fill(b' ', missing);
        }
        out.text(sign.as_bytes(), Case::Keep);
        if pad == Pad::Zeros {
            out.fill(b'0', missing);
        }
        out.text(magnitude.as_bytes(), Case::Keep);
    }

    /// Writes `%z` as two fields, each of the whole width, as glibc does: `%6z` is `     +000800`.
    fn write_offset(&self, offset_seconds: i32, out: &mut Sink) {
        let sign = if offset_seconds < 0 { b"-" } else { b"+" };
        let minutes = i64::from(offset_seconds.unsigned_abs() / 60);
        self.write_text(sign, out);
        self.write_number(minutes / 60 * 100 + minutes % 60, 4, out);
    }
}

/// The number that a letter stands for, and how many digits it has at least.
fn number(letter: u8, moment: &Moment) -> Option<(i64, usize)> {
    let year = i64::from(moment.year);
    let hour = i64::from(moment.hour);
    let year_day = i64::from(moment.year_day) - 1;
    let since_sunday = i64::from(moment.weekday);
    let since_monday = (since_sunday + 6) % 7;
    Some(match letter {
        b'C' => (year.div_euclid(100), 1),
        b'd' | b'e' => (i64::from(moment.day), 2),
        b'g' => (iso_year_and_week(moment).0.rem_euclid(100), 2),
        b'G' => (iso_year_and_week(moment).0, 1),
        b'H' | b'k' => (hour, 2),
        b'I' | b'l' if hour == 0 => (12, 2),
        b'I' | b'l' => (if hour > 12 { hour - 12 } else { hour }, 2),
        b'j' => (year_day + 1, 3),
        b'm' => (i64::from(moment.month), 2),
        b'M' => (i64::from(moment.minute), 2),
        b'S' => (i64::from(moment.second), 2),
        b'u' => (since_monday + 1, 1),
        b'U' => ((year_day - since_sunday + 7) / 7, 2),
        b'V' => (iso_year_and_week(moment).1, 2),
        b'w' => (since_sunday, 1),
        b'W' => ((year_day - since_monday + 7) / 7, 2),
        b'y' => (year.rem_euclid(100), 2),
        b'Y' => (year, 1),
        _ => return None,
    })
}

/// The word or sign that a letter stands for.
fn word(letter: u8, moment: &Moment) -> Option<&str> {
    let weekday = usize::from(moment.weekday);
    let weekday = WEEKDAYS.get(weekday).copied().unwrap_or("?");
    // A month of 0 is beyond the end, too.
    let month = usize::from(moment.month).wrapping_sub(1);
    let month = MONTHS.get(month).copied().unwrap_or("?");
    Some(match letter {
        b'a' => weekday.get(..3).unwrap_or(weekday),
        b'A' => weekday,
        b'b' | b'h' => month.get(..3).unwrap_or(month),
        b'B' => month,
        b'n' => "\n",
        b'p' | b'P' if moment.hour < 12 => "AM",
        b'p' | b'P' => "PM",
        b't' => "\t",
        b'Z' => &moment.zone,
        b'%' => "%",
        _ => return None,
    })
}

/// The format that a letter stands for, if it stands for several others in the C locale.
fn parts(letter: u8) -> Option<&'static [u8]> {
    Some(match letter {
        b'c' => b"%a %b %e %H:%M:%S %Y",
        b'D' | b'x' => b"%m/%d/%y",
        b'F' => b"%Y-%m-%d",
        b'r' => b"%I:%M:%S %p",
        b'R' => b"%H:%M",
        b'T' | b'X' => b"%H:%M:%S",
        _ => return None,
    })
}

/// ISO 8601: a week begins on Monday and belongs to the year in which its Thursday lies.
fn iso_year_and_week(moment: &Moment) -> (i64, i64) {
    let year = i64::from(moment.year);
    let since_monday = (i64::from(moment.weekday) + 6) % 7;
    // Counted from 0 at the first of January of `year`; outside of it in the year beside.
    let thursday = i64::from(moment.year_day) - 1 - since_monday + 3;
    if thursday < 0 {
        (year - 1, (thursday + days_in(year - 1)) / 7 + 1)
    } else if thursday < days_in(year) {
        (year, thursday / 7 + 1)
    } else {
        (year + 1, (thursday - days_in(year)) / 7 + 1)
    }
}

fn days_in(year: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if is_leap { 366 } else { 365 }
}

/// Bytes up to a limit.
struct Sink {
    bytes: Vec<u8>,
    max: usize,
    /// Whether anything had to be left out.
    overflowed: bool,
}

impl Sink {
    fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
            overflowed: false,
        }
    }

    fn text(&mut self, text: &[u8], case: Case) {
        let taken = self.take(text.len());
        let text = text.get(..taken).unwrap_or(text);
        match case {
            Case::Keep => self.bytes.extend_from_slice(text),
            Case::Lower => self.bytes.extend(text.iter().map(u8::to_ascii_lowercase)),
            Case::Upper => self.bytes.extend(text.iter().map(u8::to_ascii_uppercase)),
        }
    }

    fn fill(&mut self, byte: u8, count: usize) {
        let taken = self.take(count);
        self.bytes.resize(self.bytes.len() + taken, byte);
    }

    /// How many of `count` further bytes fit. Once some did not, none does.
    fn take(&mut self, count: usize) -> usize {
        if self.overflowed {
            return 0;
        }
        let taken = count.min(self.max - self.bytes.len());
        self.overflowed = taken < count;
        taken
    }

    /// Gives the bytes, without the first part of a character whose rest was left out.
    fn finish(mut self) -> Vec<u8> {
        if self.overflowed {
            // A character has at most four bytes, so a split one begins in the last three.
            let is_lead = |&byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
            let back = self.bytes.iter().rev().take(3).position(is_lead);
            let start = self.bytes.len() - back.map_or(0, |at| at + 1);
            let tail = self.bytes.get(start..).unwrap_or_default();
            // `error_len` is none only for a character that lacks its end.
            if str::from_utf8(tail).is_err_and(|error| error.error_len().is_none()) {
                self.bytes.truncate(start);
            }
        }
        self.bytes
    }
}
