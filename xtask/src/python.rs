//! Our `_socket` and `select` for each interpreter that is here, and the interpreters' own tests on
//! them, beside their own modules (`crates/berkeley-python/tests`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{cargo, cargo_program, limited, root};

/// The minor versions whose layout of sockets is known.
const MINORS: [u32; 3] = [11, 12, 13];

/// What takes seconds.
const QUICK: [&str; 5] = [
    "test.test_select",
    "test.test_poll",
    "test.test_epoll",
    "test.test_socketserver",
    "test.test_ftplib",
];

/// All that stands on sockets.
const ALL: [&str; 21] = [
    "test.test_socket",
    "test.test_ssl",
    "test.test_select",
    "test.test_poll",
    "test.test_epoll",
    "test.test_selectors",
    "test.test_socketserver",
    "test.test_ftplib",
    "test.test_smtplib",
    "test.test_poplib",
    "test.test_imaplib",
    "test.test_httplib",
    "test.test_httpservers",
    "test.test_urllib2_localnet",
    "test.test_xmlrpc",
    "test.test_asyncio.test_sock_lowlevel",
    "test.test_asyncio.test_selector_events",
    "test.test_asyncio.test_unix_events",
    "test.test_asyncio.test_streams",
    "test.test_asyncio.test_server",
    "test.test_asyncio.test_sendfile",
];

/// All modules on both sides, of one interpreter.
const FULL_TIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// Asks an interpreter who it is: five lines.
const QUESTION: &str = "import sys, sysconfig, _socket
print(sys.implementation.name)
print(*sys.version_info[:2])
print(sysconfig.get_config_var('EXT_SUFFIX'))
print(getattr(_socket, '__file__', ''))
print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)";

/// An interpreter that our modules can be built for.
struct Interpreter {
    program: PathBuf,
    minor: u32,
    suffix: String,
}

/// `cargo xtask python`: everything with `--full`, else what takes seconds; or the modules named.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (is_full, named) = match words {
        ["--full", named @ ..] => (true, named),
        named => (false, named),
    };
    let found = interpreters(is_full);
    if found.is_empty() {
        eprintln!(
            "xtask: skipped Python's own tests: no Python 3.11 to 3.13 whose _socket is a file"
        );
        return Ok(());
    }
    let is_here = |minor: &u32| found.iter().any(|each| each.minor == *minor);
    for minor in MINORS.iter().filter(|minor| is_full && !is_here(minor)) {
        eprintln!("xtask: skipped Python 3.{minor}: not here");
    }
    let modules = match (named, is_full) {
        ([], true) => &ALL[..],
        ([], false) => &QUICK[..],
        (named, _) => named,
    };
    let mut failed = Vec::new();
    for interpreter in &found {
        let folder = build(interpreter)?;
        if let Err(error) = test(interpreter, &folder, modules) {
            eprintln!("xtask: {error:#}");
            failed.push(format!("3.{}", interpreter.minor));
        }
    }
    if !failed.is_empty() {
        bail!("tests failed with Python {}", failed.join(", "));
    }
    Ok(())
}

/// Clippy for the crate with what it leaves out without an interpreter.
pub(crate) fn lint() -> Result<()> {
    if interpreters(false).is_empty() {
        return Ok(());
    }
    let crate_of_ours = ["-p", "berkeley-python", "--features", "module"];
    cargo(
        &[&["clippy"], &crate_of_ours[..], &["--", "-D", "warnings"]].concat(),
        &[],
    )
}

/// Those that are here: one of each version, or the one that `python3` is.
fn interpreters(all: bool) -> Vec<Interpreter> {
    let mut programs = vec![PathBuf::from("python3")];
    if all {
        programs.extend(MINORS.map(|minor| PathBuf::from(format!("python3.{minor}"))));
        programs.extend(beside());
    }
    let mut found: Vec<Interpreter> = Vec::new();
    for interpreter in programs.into_iter().filter_map(ask) {
        if found.iter().all(|other| other.minor != interpreter.minor) {
            found.push(interpreter);
        }
    }
    found
}

/// Where pyenv keeps several of them.
fn beside() -> Vec<PathBuf> {
    let home = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let Some(Ok(versions)) = home.map(|home| fs::read_dir(home.join("versions"))) else {
        return Vec::new();
    };
    let versions = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")));
    versions.collect()
}

fn ask(program: PathBuf) -> Option<Interpreter> {
    let output = Command::new(&program)
        .args(["-c", QUESTION])
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut lines = said.lines();
    let (name, version, suffix) = (lines.next()?, lines.next()?, lines.next()?);
    // Without a file of its own there is nothing that another file could stand before.
    let (file, is_free_threaded) = (lines.next()?, lines.next()? != "0");
    let minor = version.strip_prefix("3 ")?.parse().ok()?;
    let is_fit = name == "cpython" && MINORS.contains(&minor) && !file.is_empty();
    (is_fit && !is_free_threaded).then(|| Interpreter {
        program,
        minor,
        suffix: suffix.to_owned(),
    })
}

/// Builds the library, and puts it under the names of both modules into a folder.
fn build(interpreter: &Interpreter) -> Result<PathBuf> {
    let words = ["build", "-p", "berkeley-python", "--features", "module"];
    let shown = format!(
        "cargo {} for Python 3.{}",
        words.join(" "),
        interpreter.minor
    );
    eprintln!("xtask: {shown}");
    let status = Command::new(cargo_program())
        .args(words)
        .env("PYO3_PYTHON", &interpreter.program)
        .current_dir(root())
        .status()
        .with_context(|| format!("{shown}: can't be started"))?;
    if !status.success() {
        bail!("failed: {shown}");
    }
    let folder = target().join(format!("python/3.{}/modules", interpreter.minor));
    fs::create_dir_all(&folder).with_context(|| format!("{}: not made", folder.display()))?;
    let library = target().join("debug/libberkeley_python.so");
    for module in ["_socket", "select"] {
        let path = folder.join(format!("{module}{}", interpreter.suffix));
        fs::copy(&library, &path).with_context(|| format!("{}: not written", path.display()))?;
    }
    Ok(folder)
}

/// The package as it is installed; answers the folder for the path.
fn package(interpreter: &Interpreter, modules: &Path) -> Result<PathBuf> {
    let folder = target().join(format!("python/3.{}/package", interpreter.minor));
    let place = folder.join("berkeley");
    fs::create_dir_all(&place).with_context(|| format!("{}: not made", place.display()))?;
    let source = root().join("crates/berkeley-python/python/berkeley");
    let library = format!("_socket{}", interpreter.suffix);
    let mut files = vec![modules.join(&library)];
    for entry in fs::read_dir(&source).with_context(|| format!("{}", source.display()))? {
        files.push(entry?.path());
    }
    for file in files.iter().filter(|file| file.is_file()) {
        let name = file.file_name().unwrap_or_default();
        fs::copy(file, place.join(name)).with_context(|| format!("{}", file.display()))?;
    }
    Ok(folder)
}

/// Where cargo builds.
fn target() -> PathBuf {
    let said = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(said.unwrap_or_else(|| PathBuf::from("target")))
}

fn test(interpreter: &Interpreter, folder: &Path, modules: &[&str]) -> Result<()> {
    let package = package(interpreter, folder)?;
    let tests = root().join("crates/berkeley-python/tests");
    let results = target().join(format!("python/3.{}/results", interpreter.minor));
    let mut own = Command::new(&interpreter.program);
    own.args(["-W", "ignore"])
        .arg(tests.join("own.py"))
        .arg(folder);
    let mut suite = Command::new(&interpreter.program);
    suite
        .arg(tests.join("suite.py"))
        .arg(folder)
        .arg(results)
        .args(modules);
    let mut installed = Command::new(&interpreter.program);
    installed
        .args(["-W", "ignore"])
        .arg(tests.join("package.py"))
        .env("PYTHONPATH", package);
    // Built by the other tests; alone, those with a hub say that they were skipped.
    let hub = target().join("debug/switchboard");
    if hub.exists() {
        installed.env("SWITCHBOARD", hub);
    }
    for (name, command, limit) in [
        ("own.py", &mut own, limited::TEST_TIME_MAX),
        ("package.py", &mut installed, limited::TEST_TIME_MAX),
        ("suite.py", &mut suite, FULL_TIME_MAX),
    ] {
        let shown = format!("{name} with Python 3.{}", interpreter.minor);
        eprintln!("xtask: {shown}");
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(target());
        let pass_on = |_, bytes: &[u8]| std::io::stdout().write_all(bytes);
        let status = limited::run(&shown, command, limit, pass_on)?;
        if !status.success() {
            bail!("failed: {shown}");
        }
    }
    Ok(())
}
