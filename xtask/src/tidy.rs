//! The project's own rules, checked on the text of its files: one finding is one line,
//! `path: what: why`.

mod arrows;
mod limits;
mod scrub;

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 100;

/// Folders that are not the project's text.
const SKIPPED: [&str; 5] = [".git", "target", "switchboard-data", "__pycache__", ".venv"];

/// Folders of the machines this was built on. (In two pieces, or this file would find itself.)
const BUILD_FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/fa", "rm/")];

const UNSAFE_HOME: &str = "crates/berkeley/src/sys";
/// The other side of `cargo xtask bench-calls`: what calls cost is told against bare `libc`, and
/// nothing that is built into the crate may come from there.
const UNSAFE_BARE: &str = "crates/berkeley/examples/cost/bare.rs";

/// The interpreter's C interface, where Python's objects are laid out.
const UNSAFE_PYTHON: &str = "crates/berkeley-python/src/py/";

const PURE_HOME: &str = "crates/switchboard-wire/src/";

/// What would make a protocol depend on more than its input.
const IMPURE: [&str; 6] = [
    "std::net",
    "std::fs",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
];

/// What is fine while one works and not afterwards.
const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// Looks at every file below `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut findings = Vec::new();
    let mut limits = limits::Limits::default();
    for path in files(root)? {
        let bytes = fs::read(&path).with_context(|| format!("{}: not read", path.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let shown = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        findings.extend(look_at(&shown, &text));
        limits.see(&shown, &text);
    }
    findings.extend(limits.findings());
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!("tidy: {} findings", findings.len());
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// All findings in one file, by its path from the root and its text.
fn look_at(path: &str, text: &str) -> Vec<String> {
    let mut findings = any_text(path, text);
    if path.ends_with(".rs") || path.ends_with(".py") {
        findings.extend(shape(path, text));
    }
    if path.ends_with(".rs") {
        findings.extend(rust_code(path, &scrub::code_only(text)));
    }
    if path.ends_with("Cargo.toml") {
        findings.extend(arrows::look_at(path, text));
    }
    findings
}

fn any_text(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if let Some(odd) = line.chars().find(|c| c.is_control() && *c != '\t') {
            let code = u32::from(odd);
            findings.push(format!(
                "{path}:{number}: control character {code:#04x}: write it as an escape"
            ));
        }
        for folder in BUILD_FOLDERS {
            if line.contains(folder) {
                findings.push(format!(
                    "{path}:{number}: {folder}: exists on one machine only"
                ));
            }
        }
    }
    findings
}

fn shape(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!(
            "{path}: {lines} lines: split it by idea, at {LINES_MAX}"
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            findings.push(format!(
                "{path}:{number}: {columns} columns: {COLUMNS_MAX} fit"
            ));
        }
    }
    findings
}

/// Rules on what is code: `code` has its comments and literals blanked out.
fn rust_code(path: &str, code: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut in_tests = path.contains("/tests/") || path.starts_with("crates/testkit/");
    for (number, line) in (1..).zip(code.lines()) {
        let mut find = |what: &str, why: &str| {
            findings.push(format!("{path}:{number}: {what}: {why}"));
        };
        in_tests = in_tests || line.contains("#[cfg(test)]");
        let may_be_unsafe =
            path.starts_with(UNSAFE_HOME) || path.starts_with(UNSAFE_PYTHON) || path == UNSAFE_BARE;
        if has_word(line, "unsafe") && !may_be_unsafe {
            let why = "belongs under crates/berkeley/src/sys (or berkeley-python's src/py)";
            find("unsafe", why);
        }
        for word in IMPURE {
            if path.starts_with(PURE_HOME) && has_word(line, word) {
                find(word, "the wire crate depends on its input alone");
            }
        }
        for word in UNFINISHED {
            if has_word(line, word) {
                find(word, "not finished");
            }
        }
        if in_tests && has_word(line, "thread::sleep") {
            find(
                "thread::sleep",
                "a test waits for what happens, not for a time",
            );
        }
    }
    findings
}

/// Whether `word` stands in `line` with nothing of a longer name around it.
fn has_word(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|rest| rest.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|rest| rest.chars().next());
        let open = word.starts_with(in_name) && before.is_some_and(in_name);
        let longer = word.ends_with(in_name) && after.is_some_and(in_name);
        !open && !longer
    })
}

#[cfg(test)]
mod tests {
    use super::look_at;

    /// The findings without their first part, the path.
    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let found = look_at(path, text);
        let told: Vec<&str> = found
            .iter()
            .map(|line| {
                line.strip_prefix(path)
                    .unwrap()
                    .trim_start_matches([':', ' '])
            })
            .collect();
        assert_eq!(told.len(), expected.len(), "{found:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(
                told.starts_with(expected),
                "{told:?} instead of {expected:?}"
            );
        }
    }

    #[test]
    fn unsafe_code_has_one_home() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        check("crates/berkeley/src/sys/raw.rs", text, &[]);
        check("crates/berkeley/src/sys.rs", text, &[]);
        check("crates/berkeley/src/socket.rs", text, &["2: unsafe"]);
        check("crates/berkeley/examples/cost/bare.rs", text, &[]);
        check("crates/berkeley-python/src/py/object.rs", text, &[]);
        check(
            "crates/berkeley-python/src/socket/calls.rs",
            text,
            &["2: unsafe"],
        );
        check(
            "crates/berkeley/examples/cost/main.rs",
            text,
            &["2: unsafe"],
        );
        check(
            "crates/switchboard/src/main.rs",
            "#![forbid(unsafe_code)]\n",
            &[],
        );
        check(
            "crates/switchboard/src/main.rs",
            "// not unsafe\nlet a = \"unsafe\";\n",
            &[],
        );
    }

    #[test]
    fn the_wire_crate_is_pure() {
        let text = "use std::net::TcpStream;\nlet a = Instant::now();\nlet m = HashMap::new();\n";
        let expected = ["1: std::net", "2: Instant::now", "3: HashMap"];
        check("crates/switchboard-wire/src/frame.rs", text, &expected);
        check("crates/switchboard-wire/tests/it/main.rs", text, &[]);
        check("crates/switchboard-hub/src/shard.rs", text, &[]);
        check(
            "crates/switchboard-wire/src/frame.rs",
            "/// A `HashMap` would not do.\n",
            &[],
        );
    }

    #[test]
    fn long_files_and_lines_are_found() {
        let line = "a".repeat(100);
        check("xtask/src/a.rs", &line, &[]);
        check(
            "xtask/src/a.rs",
            &format!("\n{line}a\n"),
            &["2: 101 columns"],
        );
        check("a.py", &format!("{line}a\n"), &["1: 101 columns"]);
        check("README.md", &format!("{line}a\n"), &[]);
        check("xtask/src/a.rs", &"//\n".repeat(800), &[]);
        check("xtask/src/a.rs", &"//\n".repeat(801), &["801 lines"]);
    }

    #[test]
    fn columns_are_characters_and_not_bytes() {
        check("xtask/src/a.rs", &format!("// {}", "图".repeat(97)), &[]);
    }

    #[test]
    fn control_characters_are_found_in_any_text() {
        check("README.md", "a\tb\n", &[]);
        check(
            "README.md",
            "a\n\u{1b}[31mred\n",
            &["2: control character 0x1b"],
        );
        check(".ci/run", "set -e\r\n", &["1: control character 0x0d"]);
    }

    #[test]
    fn build_machines_are_not_named() {
        let folder = concat!("cd /wo", "rk/main\n");
        check("README.md", folder, &["1: "]);
        check("README.md", "cd ~/work\n", &[]);
    }

    #[test]
    fn unfinished_work_is_found() {
        check("xtask/src/a.rs", "fn f() { todo!() }\n", &["1: todo!"]);
        check("xtask/src/a.rs", "#[ignore = \"slow\"]\n", &["1: #[ignore"]);
        check(
            "xtask/src/a.rs",
            "let a = dbg!(b);\nmy_dbg!(b);\n",
            &["1: dbg!"],
        );
        check(
            "xtask/src/a.rs",
            "fn f() { unimplemented!() }\n",
            &["1: unimplemented!"],
        );
    }

    #[test]
    fn tests_do_not_sleep() {
        let sleep = "    std::thread::sleep(a);\n";
        check(
            "crates/berkeley/tests/it/tcp.rs",
            sleep,
            &["1: thread::sleep"],
        );
        check("crates/testkit/src/hub.rs", sleep, &["1: thread::sleep"]);
        check("crates/berkeley/src/socket.rs", sleep, &[]);
        let late = format!("{sleep}#[cfg(test)]\nmod tests {{\n{sleep}}}\n");
        check(
            "crates/berkeley/src/socket.rs",
            &late,
            &["4: thread::sleep"],
        );
    }
}
