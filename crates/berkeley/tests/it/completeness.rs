//! The chapters "coming from Python" and "coming from C": a row for each name of Python's modules,
//! asked of the interpreters that are here. That a row's links lead somewhere is rustdoc's task.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON: &str = include_str!("../../docs/coming-from-python.md");
const C: &str = include_str!("../../docs/coming-from-c.md");

/// Prints each name, one a line: of the modules, of a socket, of the `select` module's objects and
/// of the classes that `selectors` defines.
const SCRIPT: &str = r#"
import sys
if sys.version_info >= (3, 14): sys.exit("newer than the chapter")
import select, selectors, socket
def put(prefix, names):
    for name in names:
        print(prefix + "." + name)
def members(thing):
    return [name for name in dir(thing) if not name.startswith("__")]
for module in socket, select, selectors:
    put(module.__name__, dir(module))
put("socket.socket", members(socket.socket))
put("select.poll", members(select.poll()))
put("select.epoll", members(select.epoll))
for name, value in sorted(vars(selectors).items()):
    if isinstance(value, type) and value.__module__ == "selectors":
        put("selectors." + name, members(value))
"#;

/// The interpreters on this machine: the one of the search path, and those of pyenv.
fn interpreters() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("python3")];
    if let Some(home) = env::var_os("HOME")
        && let Ok(versions) = Path::new(&home).join(".pyenv/versions").read_dir()
    {
        all.extend(versions.map(|version| version.unwrap().path().join("bin/python3")));
    }
    all.sort();
    all
}

/// The names that an interpreter knows; `None` if it does not run, or is newer than the chapter.
fn names_of(python: &Path) -> Option<BTreeSet<String>> {
    let output = Command::new(python).args(["-c", SCRIPT]).output().ok()?;
    let names = String::from_utf8(output.stdout).unwrap();
    output
        .status
        .success()
        .then(|| names.lines().map(str::to_owned).collect())
}

/// The rows of a chapter: what stands in the first column, and what stands in the second.
fn rows(chapter: &str) -> BTreeMap<&str, &str> {
    let mut rows = BTreeMap::new();
    for line in chapter.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", name, here, ""] = cells[..] else {
            panic!("not a row of two cells: {line}");
        };
        assert!(!here.is_empty(), "{name}: nothing said");
        assert!(rows.insert(name, here).is_none(), "{name}: two rows");
    }
    rows
}

#[test]
fn every_name_of_python_has_a_row() {
    let rows: BTreeSet<_> = rows(PYTHON)
        .into_keys()
        .map(|name| name.trim_matches('`'))
        .collect();
    let mut asked = 0;
    let mut lacking = BTreeMap::new();
    for python in interpreters() {
        let Some(names) = names_of(&python) else {
            continue;
        };
        asked += 1;
        assert!(names.len() > 300, "{}: {names:?}", python.display());
        for name in names {
            if !rows.contains(name.as_str()) {
                lacking.entry(name).or_insert(python.clone());
            }
        }
    }
    if asked == 0 {
        eprintln!("skipped: needs python3, up to 3.13");
    }
    assert!(lacking.is_empty(), "names without a row: {lacking:#?}");
}

#[test]
fn nothing_is_missing() {
    let gaps: Vec<_> = rows(PYTHON)
        .into_iter()
        .chain(rows(C))
        .filter(|(_, here)| here.starts_with("missing"))
        .collect();
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn every_row_names_something_or_says_why_not() {
    let words = ["Python's own", "none: ", "dropping the ", "always set"];
    for (name, here) in rows(PYTHON).into_iter().chain(rows(C)) {
        assert!(
            here.contains('`') || words.iter().any(|word| here.starts_with(word)),
            "{name}: {here}"
        );
    }
}
