//! What the tests could not try where they ran: said at the end, and counted.
//!
//! The test harness keeps what a passing test prints to itself. With `--show-output` it comes, and
//! of that only the lines that begin with `skipped:` go on.

use std::collections::BTreeMap;
use std::io::Write;

/// Each reason, and how often it was given.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    reasons: BTreeMap<String, usize>,
    /// Within the harness's account of what passing tests printed.
    is_hidden: bool,
}

impl Skipped {
    /// Passes a line of the harness on, unless a passing test printed it.
    pub(crate) fn pass_on(&mut self, line: &[u8], mut to: impl Write) -> std::io::Result<()> {
        let text = String::from_utf8_lossy(line);
        if self.is_shown(text.trim_end_matches('\n')) {
            to.write_all(line)?;
        }
        to.flush()
    }

    fn is_shown(&mut self, line: &str) -> bool {
        match line {
            "successes:" => self.is_hidden = true,
            "failures:" => self.is_hidden = false,
            _ if line.starts_with("test result: ") => self.is_hidden = false,
            _ => {}
        }
        if let Some(reason) = line.strip_prefix("skipped: ") {
            *self.reasons.entry(reason.into()).or_default() += 1;
        }
        !self.is_hidden
    }

    /// One line for each reason, and their number.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (reason, count) in &self.reasons {
            let times = match count {
                1 => String::new(),
                count => format!(" ({count} times)"),
            };
            text.push_str(&format!("xtask: skipped: {reason}{times}\n"));
        }
        let count: usize = self.reasons.values().sum();
        text.push_str(&format!("xtask: {count} skipped"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_counted_and_the_rest_of_passing_tests_is_silent() {
        let lines = "\
running 3 tests
test a ... ok

successes:

---- a stdout ----
skipped: needs a moon
chatter
skipped: needs a moon

successes:
    a

failures:

---- b stdout ----
its own words
skipped: needs a sun

test result: FAILED. 1 passed; 1 failed
";
        let mut skipped = Skipped::default();
        let mut shown = Vec::new();
        for line in lines.split_inclusive('\n') {
            skipped.pass_on(line.as_bytes(), &mut shown).unwrap();
        }
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("its own words") && shown.contains("test a ... ok"));
        assert!(shown.ends_with("test result: FAILED. 1 passed; 1 failed\n"));
        assert!(!shown.contains("chatter") && !shown.contains("moon"));
        let report = skipped.report();
        assert!(
            report.contains("skipped: needs a moon (2 times)\n"),
            "{report}"
        );
        assert!(report.ends_with("xtask: 3 skipped"), "{report}");
    }
}
