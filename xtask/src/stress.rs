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
            "catching_up::",
            "crowd::",
            "disk::",
            "durable::",
            "hostile::",
            "limits::",
            "restart::",
            "resume::",
            "log::",
            "shards::",
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::root;

    /// The files of tests below a folder, by their text.
    fn test_files(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                test_files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.to_string_lossy().contains("/tests/")
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }

    #[test]
    fn each_test_that_the_list_names_is_there() {
        let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
        let mut files = Vec::new();
        test_files(&root().join("crates"), &mut files);
        let is_row = |line: &&str| {
            let id = line.strip_prefix("| ").and_then(|rest| rest.chars().next());
            line.chars().nth(3).is_some_and(|c| c.is_ascii_digit()) && "LFB".contains(id.unwrap())
        };
        let rows: Vec<&str> = text.lines().filter(is_row).collect();
        assert!(rows.len() > 20, "{rows:?}");
        for row in rows {
            let names = row.split('`').skip(1).step_by(2);
            for name in names.filter(|name| !name.contains('/')) {
                let (module, test) = name.rsplit_once("::").unwrap_or(("", name));
                let file = module.rsplit("::").next().unwrap();
                let is_there = files.iter().any(|(path, text)| {
                    let fits = file.is_empty() || path.file_stem().is_some_and(|stem| stem == file);
                    let begins = |line: &str| {
                        let name = line.trim_start().strip_prefix("fn ");
                        name.is_some_and(|name| name.contains(test))
                    };
                    fits && (test.is_empty() || text.lines().any(begins))
                });
                assert!(is_there, "no test is named {name}: {row}");
            }
        }
    }
}
