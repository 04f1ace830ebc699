//! Every limit of `docs/limits.md` is a constant of the sources, and some test knows it by name.

use std::collections::BTreeSet;

use super::scrub;

/// Where the limits are listed.
const TABLE: &str = "docs/limits.md";

/// Behind this, a file of the sources is tests.
const TESTS_BEGIN: &str = "#[cfg(test)]";

/// What has been seen of the limits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Rows of the tables, with their line numbers.
    rows: Vec<(usize, String)>,
    constants: BTreeSet<String>,
    tested: BTreeSet<String>,
}

impl Limits {
    /// Takes a file into account.
    pub(super) fn see(&mut self, path: &str, text: &str) {
        if path == TABLE {
            let lines = (1..).zip(text.lines().map(str::to_owned));
            self.rows = lines.filter(|(_, line)| line.starts_with('|')).collect();
        }
        if path.ends_with(".rs") {
            let code = scrub::code_only(text);
            let (source, tests) = match code.find(TESTS_BEGIN) {
                _ if path.contains("/tests/") || path.ends_with("/tests.rs") => ("", code.as_str()),
                Some(at) => code.split_at(at),
                None => (code.as_str(), ""),
            };
            self.tested.extend(names(tests).map(str::to_owned));
            let defined = source.split("const ").skip(1);
            let defined = defined.filter_map(|rest| rest.split_once(':'));
            let defined = defined.map(|(name, _)| name.trim().to_owned());
            self.constants.extend(defined);
        }
    }

    /// What is wrong: limits that no source defines, and limits that no test names.
    pub(super) fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for (number, row) in &self.rows {
            let first = row.split('|').nth(1).unwrap_or_default();
            let mut find = |name: &str, what: &str| {
                findings.push(format!("{TABLE}:{number}: {name}: {what}"));
            };
            for name in quoted(first).filter(|name| !self.constants.contains(*name)) {
                find(name, "no constant of the sources");
            }
            // What else a row names is no limit unless it is a constant of ours.
            let known = quoted(row).filter(|name| self.constants.contains(*name));
            for name in known.filter(|name| !self.tested.contains(*name)) {
                find(name, "no test names it");
            }
        }
        findings
    }
}

/// The names of constants that a row of the table has in backquotes, without what they belong to.
fn quoted(row: &str) -> impl Iterator<Item = &str> {
    let quoted = row.split('`').skip(1).step_by(2);
    let last = quoted.map(|name| name.rsplit("::").next().unwrap_or(name));
    last.filter(|name| names(name).eq([*name]))
}

/// The words of a text that are written as constants are.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| {
        let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        word.len() > 1 && word.chars().all(is_name) && word.contains(|c: char| !c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::{Limits, TABLE};

    #[test]
    fn a_limit_has_a_constant_and_a_test() {
        let mut limits = Limits::default();
        let rows = "# Limits\n| `a::LINE_MAX`, `WORD_MAX` | 5 (`EINVAL`) | with `SPACE` = 2 |\n\
                    | `Loop::limit`, out of luck | 1 | |\nNot in the table: `PAGE_MAX`.\n";
        limits.see(TABLE, rows);
        let told = |limits: &Limits| {
            let findings = limits.findings().into_iter();
            let behind = |told: String| told.split_once("limits.md:").unwrap().1.to_owned();
            findings.map(behind).collect::<Vec<_>>()
        };
        limits.see(
            "crates/a/src/lib.rs",
            "/// See WORD_MAX.\npub const LINE_MAX: u8 = 5;\nconst SPACE: u8 = 2;\n",
        );
        assert_eq!(
            told(&limits),
            [
                "2: WORD_MAX: no constant of the sources",
                "2: LINE_MAX: no test names it",
                "2: SPACE: no test names it",
            ]
        );
        limits.see(
            "crates/a/src/word.rs",
            "const WORD_MAX: u8 = 9;\n#[cfg(test)]\nmod tests { const A: u8 = WORD_MAX; }\n",
        );
        // To be named in a comment is no test.
        limits.see("crates/a/tests/it.rs", "f(LINE_MAX);\n// SPACE\n");
        assert_eq!(told(&limits), ["2: SPACE: no test names it"]);
    }
}
