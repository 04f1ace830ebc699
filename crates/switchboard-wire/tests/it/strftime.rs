//! `strftime` against the system's own, and what the system cannot show: cuts, caps, odd bytes.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails as loudly as the test"
)]

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use switchboard_wire::limits::DATAGRAM_ANSWER_BYTES_MAX;
use switchboard_wire::strftime::{
    DEFAULT_FORMAT, FIELD_WIDTH_MAX, Moment, NOT_UTF8_ANSWER, answer, strftime,
};

const ZONES: [&str; 5] = [
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
];

const LETTERS: &str = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%+";

const DAY_SECONDS: i64 = 86_400;

/// Calls libc's `strftime` itself: Python's own wrapper refuses some formats. A line is
/// `zone TAB unix seconds TAB format,format,...` with formats in hexadecimal; so are the answers.
const GLIBC: &str = r#"
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
try:
    libc.gnu_get_libc_version
except AttributeError:
    sys.exit(0)
libc.setlocale(6, b"C")
libc.strftime.restype = ctypes.c_size_t
libc.strftime.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]
class Tm(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int) for n in "s m h day mon year wday yday dst".split()] \
        + [("off", ctypes.c_long), ("zone", ctypes.c_char_p)]
buf = ctypes.create_string_buffer(1 << 16)
def text(fmt, tm):
    n = libc.strftime(buf, len(buf), bytes.fromhex(fmt), ctypes.byref(tm))
    return ctypes.string_at(buf, n).hex()
zone = None
for line in sys.stdin:
    name, when, formats = line.rstrip("\n").split("\t")
    if name != zone:
        zone = os.environ["TZ"] = name
        time.tzset()
    t = time.localtime(int(when))
    wday = (t.tm_wday + 1) % 7
    tm = Tm(t.tm_sec, t.tm_min, t.tm_hour, t.tm_mday, t.tm_mon - 1, t.tm_year - 1900, wday,
            t.tm_yday - 1, t.tm_isdst, t.tm_gmtoff, t.tm_zone.encode())
    fields = [t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, wday, t.tm_yday,
              t.tm_gmtoff, t.tm_zone]
    print(*fields, sep="\t", end="\t")
    print(*[text(f, tm) for f in formats.split(",")], sep=",")
"#;

/// New Year's Eve in New York: the ISO year is ahead of the year.
fn new_york() -> Moment {
    Moment {
        year: 2025,
        month: 12,
        day: 31,
        hour: 20,
        minute: 1,
        second: 1,
        weekday: 3,
        year_day: 365,
        unix_seconds: 1_767_229_261,
        offset_seconds: -18_000,
        zone: "EST".to_owned(),
    }
}

fn text(format: &str) -> String {
    String::from_utf8(strftime(
        format.as_bytes(),
        &new_york(),
        DATAGRAM_ANSWER_BYTES_MAX,
    ))
    .unwrap()
}

// --- Against the system ---

/// What to ask: a zone, a time, and formats.
type Question = (&'static str, i64, Vec<Vec<u8>>);

struct Random(u64);

impl Random {
    /// Marsaglia's xorshift64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn time(&mut self) -> i64 {
        // One in four far away: from about the year -11000 to 15000; else from 1900 to 2100.
        let (low, days) = if self.below(4) == 0 {
            (-4_750_000, 9_500_000)
        } else {
            (-25_567, 73_000)
        };
        let day = low + i64::try_from(self.below(days)).unwrap();
        day * DAY_SECONDS + i64::try_from(self.below(86_400)).unwrap()
    }

    fn format(&mut self) -> Vec<u8> {
        let letters: Vec<char> = LETTERS.chars().collect();
        let mut format = String::new();
        for _ in 0..=self.below(7) {
            match self.below(8) {
                0 => format.push_str(self.pick(&["Uhr ", "时间", "é", "🕰", "\n", "a", "-", " "])),
                1 => format.push(self.pick(&['%', 'E', 'O', '0', 'Q', 'v', '🕰', ':', '^'])),
                _ => {
                    format.push('%');
                    for _ in 0..self.below(3) {
                        format.push(self.pick(&['_', '-', '0', '^', '#']));
                    }
                    if self.below(3) == 0 {
                        format.push_str(&self.below(FIELD_WIDTH_MAX + 1).to_string());
                    }
                    format.push_str(self.pick(&["", "", "", "E", "O"]));
                    format.push(self.pick(&letters));
                }
            }
        }
        format.into_bytes()
    }
}

/// Every ASCII letter and sign after every mixture of flag, width and modifier.
fn all_conversions() -> Vec<Vec<u8>> {
    let mut formats = Vec::new();
    let flags = [
        "", "_", "-", "0", "^", "#", "_^", "^#", "#^", "-0", "0_", "_-", "_#", "+",
    ];
    for flag in flags {
        for width in ["", "1", "2", "3", "5", "10", "32", "005"] {
            for modifier in ["", "E", "O", "EO", "OE", "E7"] {
                let start = format!("%{flag}{width}{modifier}");
                // Without digits, which would make the width wider than ours can be.
                let letters = (b' '..=b'~').filter(|byte| !byte.is_ascii_digit());
                let letters = letters.chain([b'\n', 0x7F, 0x80, 0xC3, 0xFF]);
                formats.push(start.clone().into_bytes());
                formats.extend(letters.map(|letter| [start.as_bytes(), &[letter]].concat()));
            }
        }
    }
    formats
}

fn questions() -> Vec<Question> {
    let mut random = Random(0x5EED_0000_0000_0009);
    let mut questions: Vec<Question> = Vec::new();
    for (zone, time) in [
        // 2025-12-31 20:01:01 and, a Monday, 2001-01-01 00:00.
        ("America/New_York", 1_767_229_261),
        ("UTC", 978_307_200),
        // Some time in the years 33658 and -7.
        ("UTC", 1_000_000_000_000),
        ("Asia/Kolkata", -62_356_627_801),
    ] {
        questions.push((zone, time, all_conversions()));
    }
    // Each hour of a day, and the days on which Lord Howe changes by half an hour.
    let hourly: Vec<_> = LETTERS
        .chars()
        .map(|letter| format!("%{letter}").into_bytes())
        .collect();
    for zone in ZONES {
        for start in [1_700_000_000, 1_712_400_000, 1_728_129_600] {
            for half_hour in 0..48 {
                questions.push((zone, start + half_hour * 1_800, hourly.clone()));
            }
        }
    }
    // Around the turn of each year and the end of each February, where weeks and days go wrong.
    let weekly = b"%F %j %a %u %w | %G-W%V %g | %U %W | %C %y %s".to_vec();
    let mut year_start = 0;
    for year in 1970..=2040 {
        let days = if year % 4 == 0 { 366 } else { 365 };
        for day in (-4..4).chain(57..61) {
            for zone in ZONES {
                let noon = year_start + day * DAY_SECONDS + DAY_SECONDS / 2;
                questions.push((zone, noon, vec![weekly.clone(), b"%G%V%u%E%".to_vec()]));
            }
        }
        year_start += days * DAY_SECONDS;
    }
    for _ in 0..4_000 {
        let formats = (0..5)
            .map(|_| random.format())
            .chain([weekly.clone()])
            .collect();
        questions.push((random.pick(&ZONES), random.time(), formats));
    }
    questions.sort_by_key(|&(zone, time, _)| (zone, time));
    questions
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn moment_and_answers(line: &str, unix_seconds: i64) -> (Moment, Vec<&str>) {
    fn parse<T: std::str::FromStr>(field: &str) -> T {
        field
            .parse()
            .unwrap_or_else(|_| panic!("not a number in range: {field:?}"))
    }
    let fields: Vec<&str> = line.split('\t').collect();
    let moment = Moment {
        year: parse(fields[0]),
        month: parse(fields[1]),
        day: parse(fields[2]),
        hour: parse(fields[3]),
        minute: parse(fields[4]),
        second: parse(fields[5]),
        weekday: parse(fields[6]),
        year_day: parse(fields[7]),
        unix_seconds,
        offset_seconds: parse(fields[8]),
        zone: fields[9].to_owned(),
    };
    (moment, fields[10].split(',').collect())
}

#[test]
fn every_answer_is_the_systems_own() {
    let child = Command::new("python3")
        .args(["-c", GLIBC])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return println!("skipped: needs python3");
        }
        child => child.unwrap(),
    };
    let questions = questions();
    let mut input = String::new();
    for (zone, time, formats) in &questions {
        let formats: Vec<_> = formats.iter().map(|format| hex(format)).collect();
        input.push_str(&format!("{zone}\t{time}\t{}\n", formats.join(",")));
    }
    let mut stdin = child.stdin.take().unwrap();
    // Its own thread, or both sides wait on full pipes; it fails if Python leaves early.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
    let output = child.wait_with_output().unwrap();
    let was_read = writer.join().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    if lines.is_empty() {
        return println!("skipped: needs glibc");
    }
    assert!(was_read);
    assert_eq!(lines.lines().count(), questions.len());

    let mut pairs = 0;
    for ((zone, time, formats), line) in questions.iter().zip(lines.lines()) {
        let (moment, answers) = moment_and_answers(line, *time);
        assert_eq!(answers.len(), formats.len());
        for (format, expected) in formats.iter().zip(answers) {
            let given = strftime(format, &moment, usize::MAX);
            assert_eq!(
                hex(&given),
                expected,
                "{:?} at {time} in {zone} gave {:?}",
                String::from_utf8_lossy(format),
                String::from_utf8_lossy(&given),
            );
            pairs += 1;
        }
    }
    println!("{pairs} answers compared");
}

// --- By itself ---

#[test]
fn an_empty_request_means_the_date_and_the_time() {
    assert_eq!(
        answer(b"", &new_york(), DATAGRAM_ANSWER_BYTES_MAX),
        b"2025-12-31 20:01:01"
    );
    assert_eq!(text(DEFAULT_FORMAT), "2025-12-31 20:01:01");
    assert_eq!(text(""), "");
}

#[test]
fn a_request_that_is_not_utf8_is_told_so() {
    for request in [&b"\xFF"[..], b"%Y \xC3", b"\xED\xA0\x80 %c"] {
        assert_eq!(
            answer(request, &new_york(), DATAGRAM_ANSWER_BYTES_MAX),
            NOT_UTF8_ANSWER.as_bytes()
        );
    }
    assert_eq!(strftime(b"%H\xFF%M\xC3", &new_york(), 99), b"20\xFF01\xC3");
}

#[test]
fn a_format_that_comes_to_nothing_is_answered_with_itself() {
    let moment = Moment {
        zone: String::new(),
        ..new_york()
    };
    assert_eq!(strftime(b"%Z", &moment, DATAGRAM_ANSWER_BYTES_MAX), b"");
    assert_eq!(answer(b"%Z", &moment, DATAGRAM_ANSWER_BYTES_MAX), b"%Z");
    assert_eq!(answer(&b"%Z".repeat(32_768), &moment, 5), b"%Z%Z%");
}

#[test]
fn an_unknown_or_unfinished_conversion_is_answered_with_itself() {
    for format in [
        "%", "100 %", "%Q", "%E", "%O", "%-", "%^", "%+", "%é", "%:z", "%Ed", "%OEd", "%f",
    ] {
        assert_eq!(text(format), format);
    }
    // As in glibc, the width and `^` hold for it too.
    assert_eq!(text("%5"), "   %5");
    assert_eq!(text("%05Q|%5-d|%^q"), "0%05Q|  %5-d|%^Q");
}

#[test]
fn text_between_conversions_passes_unchanged() {
    assert_eq!(text("现在 %H 点 🕰\t%%\0é"), "现在 20 点 🕰\t%\0é");
}

#[test]
fn a_width_counts_as_32_at_most_whatever_its_digits_say() {
    let widest = format!("{:032}", 31);
    for width in [
        "32",
        "33",
        "255",
        "1000000000",
        "18446744073709551617",
        &"9".repeat(60_000),
    ] {
        assert_eq!(text(&format!("%{width}d")), widest);
    }
    assert_eq!(text("%1000000000a"), format!("{:>32}", "Wed"));
    assert_eq!(text("%1000000000Q"), format!("{:>32}", "%1000000000Q"));
}

#[test]
fn an_answer_of_exactly_the_limit_is_whole_and_a_longer_one_is_cut() {
    assert_eq!(strftime(b"%F", &new_york(), 10), b"2025-12-31");
    assert_eq!(strftime(b"%F", &new_york(), 9), b"2025-12-3");
    assert_eq!(strftime(b"%F%%", &new_york(), 10), b"2025-12-31");
    assert_eq!(strftime(b"%F", &new_york(), 0), b"");
    assert_eq!(answer(b"\xFF", &new_york(), 5), b"error");
}

#[test]
fn a_cut_never_splits_a_character() {
    let whole = "20é20时20🕰é20";
    let format = whole.replace("20", "%H");
    for max in 0..=whole.len() {
        let cut = strftime(format.as_bytes(), &new_york(), max);
        let fits = (0..=max)
            .rev()
            .find(|&len| whole.is_char_boundary(len))
            .unwrap();
        assert_eq!(str::from_utf8(&cut).unwrap(), &whole[..fits]);
    }
    assert_eq!(answer("🕰".as_bytes(), &new_york(), 3), b"");
}

#[test]
fn a_request_of_64_kib_is_answered_within_the_limit() {
    for part in ["%c", "%32Y", "%", "é", "%5", "%_", "%^c", "%Z", "%9999999c"] {
        let request = part.repeat(65_536 / part.len());
        let given = answer(request.as_bytes(), &new_york(), DATAGRAM_ANSWER_BYTES_MAX);
        assert!(
            (1_021..=DATAGRAM_ANSWER_BYTES_MAX).contains(&given.len()),
            "{part}: {}",
            given.len()
        );
    }
}

#[test]
fn years_before_the_first_and_after_9999_keep_their_sign_and_digits() {
    let year = |year: i32| Moment { year, ..new_york() };
    let format = b"%Y %C %y %F %6Y %_6Y";
    let given = |moment| String::from_utf8(strftime(format, &moment, 99)).unwrap();
    assert_eq!(given(year(-5)), "-5 -1 95 -5-12-31 -00005     -5");
    assert_eq!(given(year(7)), "7 0 07 7-12-31 000007      7");
    assert_eq!(
        given(year(12_345)),
        "12345 123 45 12345-12-31 012345  12345"
    );
    assert_eq!(strftime(b"%Y", &year(i32::MIN), 99), b"-2147483648");
    assert_eq!(strftime(b"%G", &year(i32::MAX), 99), b"2147483648");
}

#[test]
fn a_month_or_weekday_that_does_not_exist_has_no_name() {
    for (month, weekday) in [(0, 7), (13, 255)] {
        let moment = Moment {
            month,
            weekday,
            ..new_york()
        };
        assert_eq!(strftime(b"%a %A %b %B", &moment, 99), b"? ? ? ?");
    }
}

fn any_moment() -> impl Strategy<Value = Moment> {
    let date = (
        any::<i32>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u16>(),
    );
    let time = (
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<i64>(),
        any::<i32>(),
    );
    (date, time, any::<String>()).prop_map(|(date, time, zone)| Moment {
        year: date.0,
        month: date.1,
        day: date.2,
        hour: time.0,
        minute: time.1,
        second: time.2,
        weekday: date.3,
        year_day: date.4,
        unix_seconds: time.3,
        offset_seconds: time.4,
        zone,
    })
}

/// Mostly conversions, or the interesting branches are never met.
fn any_format() -> impl Strategy<Value = String> {
    let conversion = "%[-_0^#]{0,2}[0-9]{0,3}[EO]?[a-zA-Z%+]";
    let part = prop_oneof![3 => conversion.boxed(), 1 => "\\PC{0,4}".boxed()];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    // A failing seed is kept in `strftime.regressions` beside this file.
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_and_no_moment_panic_or_pass_the_limit(
        format in prop::collection::vec(any::<u8>(), 0..200),
        moment in any_moment(),
        max in 0_usize..300,
    ) {
        prop_assert!(strftime(&format, &moment, max).len() <= max);
        prop_assert!(answer(&format, &moment, max).len() <= max);
        prop_assert!(max < 4 || !answer(&format, &moment, max).is_empty());
    }

    #[test]
    fn a_cut_answer_is_the_start_of_the_whole_one_and_still_utf8(
        format in any_format(),
        moment in any_moment(),
        max in 0_usize..300,
    ) {
        let whole = strftime(format.as_bytes(), &moment, usize::MAX);
        prop_assert!(str::from_utf8(&whole).is_ok());
        let cut = strftime(format.as_bytes(), &moment, max);
        prop_assert!(str::from_utf8(&cut).is_ok());
        prop_assert!(whole.starts_with(&cut));
        prop_assert!(cut.len() + 3 >= whole.len().min(max) && cut.len() <= max);
        prop_assert!(cut.len() == whole.len() || whole.len() > max);
    }
}
