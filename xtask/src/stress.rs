//! `cargo xtask stress`: the tests that have a short and a whole form, whole.

use std::io::Write;

use anyhow::Result;

use crate::cargo_test;

/// What makes them whole; read in `support.rs` of the end-to-end tests.
pub(crate) const WHOLE: (&str, &str) = ("SWITCHBOARD_TEST_AMOUNT", "whole");

/// More cases of each property than the test command tries.
const CASES: (&str, &str) = ("PROPTEST_CASES", "4096");

/// Of each package and target, the tests of the list in CONTRIBUTING.md, by the beginning of their
/// names.
const PARTS: [(&str, &[&str]); 4] = [
    (
        "switchboard",
        &[
            "stress_",
            "crowd::",
            "hostile::",
            "limits::",
            "restart::",
            "log::",
            "tail::",
        ],
    ),
    ("switchboard-hub", &["log::", "names::", "sessions::"]),
    ("switchboard-wire", &[]),
    ("berkeley", &["selector_", "select_bare::", "exhaustion::"]),
];

/// Runs all of them, or those so named of the end-to-end tests, one after the other: each has the
/// machine to itself, and says in a line what it measured.
pub(crate) fn run(filter: &[&str]) -> Result<()> {
    let mut result = Ok(());
    for (package, tests) in PARTS {
        let (tests, is_chosen) = match filter {
            [] => (tests, true),
            chosen => (chosen, package == "switchboard"),
        };
        if !is_chosen {
            continue;
        }
        let own = ["--test-threads", "1", "--nocapture"];
        let target = ["--release", "-p", package, "--test", "it", "--"];
        let words = [&target, tests, &own].concat();
        let part = cargo_test(&words, &[WHOLE, CASES], |line| {
            std::io::stdout().write_all(line)
        });
        // What one part shows is worth knowing even if another fails.
        result = result.and(part);
        std::io::stdout().flush()?;
    }
    result
}
