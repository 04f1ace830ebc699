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
const ALL: [&str; 18] = [
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
    "test.test_audit",
    "test._test_eintr",
    "test.test_asyncio",
];

/// What is run again and again, for leaks.
const LEAKY: [&str; 4] = ["test_socket", "test_select", "test_poll", "test_epoll"];

/// What builds the package.
const MATURIN: &str = "maturin>=1.9,<2";

/// All modules on both sides, of one interpreter.
const FULL_TIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// Asks an interpreter who it is: seven lines.
const QUESTION: &str = "import importlib.util, sys, sysconfig
print(sys.executable)
print(sys.implementation.name)
print(*sys.version_info[:2])
print(sys.abiflags + '-')
print(sysconfig.get_config_var('EXT_SUFFIX'))
try: print(bool(importlib.util.find_spec('test.test_socket')))
except ImportError: print(False)
print(hasattr(sys, 'gettotalrefcount'))";

/// An interpreter that our modules can be built for.
struct Interpreter {
    program: PathBuf,
    minor: u32,
    /// Of the files of modules.
    suffix: String,
    /// Distributions have them in a package of their own.
    has_tests: bool,
    counts_references: bool,
}

impl Interpreter {
    /// Where all is kept that is built for it.
    fn folder(&self) -> PathBuf {
        let debug = if self.counts_references { "d" } else { "" };
        target().join(format!("python/3.{}{debug}", self.minor))
    }
}

/// `cargo xtask python`: everything with `--full`, else what takes seconds; or the modules named.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (is_full, named) = match words {
        ["--leaks", named @ ..] => return leaks(named),
        ["--full", named @ ..] => (true, named),
        named => (false, named),
    };
    let found = interpreters(is_full);
    if found.is_empty() {
        eprintln!("xtask: skipped Python's own tests: no Python 3.11 to 3.13 here");
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
        let tested = test(interpreter, &folder, modules, is_full);
        if let Err(error) = tested.and_then(|()| install(interpreter, is_full)) {
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
        let is_new = found.iter().all(|other| other.minor != interpreter.minor);
        if is_new {
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

fn ask(found: PathBuf) -> Option<Interpreter> {
    let output = Command::new(&found).args(["-c", QUESTION]).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut lines = said.lines();
    // Not as it is found: the path may lead elsewhere tomorrow, and what is built is kept.
    let program = PathBuf::from(lines.next()?);
    let (name, version, flags) = (lines.next()?, lines.next()?, lines.next()?);
    let (suffix, tests, counts) = (lines.next()?, lines.next()?, lines.next()?);
    let minor = version.strip_prefix("3 ")?.parse().ok()?;
    let is_free_threaded = flags.contains('t');
    let is_fit = name == "cpython" && MINORS.contains(&minor) && !is_free_threaded;
    is_fit.then(|| Interpreter {
        program,
        minor,
        suffix: suffix.to_owned(),
        has_tests: tests == "True",
        counts_references: counts == "True",
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
    let folder = interpreter.folder().join("modules");
    fs::create_dir_all(&folder).with_context(|| format!("{}: not made", folder.display()))?;
    let library = target().join("debug/libberkeley_python.so");
    for module in ["_socket", "select"] {
        put(
            &library,
            &folder.join(format!("{module}{}", interpreter.suffix)),
        )?;
    }
    let beside = root().join("crates/berkeley-python/tests/sitecustomize.py");
    put(&beside, &folder.join("sitecustomize.py"))?;
    Ok(folder)
}

/// A copy that takes the place of an older one, which a process may still run.
fn put(file: &Path, place: &Path) -> Result<()> {
    let fresh = place.with_extension("new");
    let copied = fs::copy(file, &fresh).and_then(|_bytes| fs::rename(&fresh, place));
    copied.with_context(|| format!("{}: not written", place.display()))
}

/// The package as it is installed; answers the folder for the path.
fn package(interpreter: &Interpreter, modules: &Path) -> Result<PathBuf> {
    let folder = interpreter.folder().join("package");
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
        put(file, &place.join(name))?;
    }
    Ok(folder)
}

/// Where cargo builds.
fn target() -> PathBuf {
    let said = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(said.unwrap_or_else(|| PathBuf::from("target")))
}

fn test(interpreter: &Interpreter, folder: &Path, modules: &[&str], is_full: bool) -> Result<()> {
    let package = package(interpreter, folder)?;
    let tests = root().join("crates/berkeley-python/tests");
    let results = interpreter.folder().join("results");
    for name in ["own.py", "signals.py"] {
        let mut own = Command::new(&interpreter.program);
        own.args(["-W", "ignore"]).arg(tests.join(name)).arg(folder);
        run_tests(name, interpreter, &mut own, limited::TEST_TIME_MAX)?;
    }
    let mut suite = Command::new(&interpreter.program);
    suite
        .arg(tests.join("suite.py"))
        .arg(folder)
        .arg(results)
        .args(is_full.then_some("--fresh"))
        .args(modules);
    let path = Some(package.as_path());
    test_package("", interpreter, &interpreter.program, path)?;
    if !interpreter.has_tests {
        eprintln!(
            "xtask: skipped Python's own tests: Python 3.{} has none here \
             (hint: apt-get install libpython3-testsuite)",
            interpreter.minor
        );
        return Ok(());
    }
    run_tests("suite.py", interpreter, &mut suite, FULL_TIME_MAX)
}

/// The tests of the package, by an interpreter that finds it there, or by itself.
fn test_package(
    how: &str,
    interpreter: &Interpreter,
    program: &Path,
    path: Option<&Path>,
) -> Result<()> {
    // Built by the other tests; alone, those with a hub say that they were skipped.
    let hub = target().join("debug/switchboard");
    for name in ["package.py", "tour.py"] {
        let tests = root().join("crates/berkeley-python/tests");
        let mut command = Command::new(program);
        command.args(["-W", "ignore"]).arg(tests.join(name));
        if let Some(path) = path {
            command.env("PYTHONPATH", path);
        }
        if hub.exists() {
            command.env("SWITCHBOARD", &hub);
        }
        let shown = format!("{name}{how}");
        run_tests(&shown, interpreter, &mut command, limited::TEST_TIME_MAX)?;
    }
    Ok(())
}

fn run_tests(
    name: &str,
    interpreter: &Interpreter,
    command: &mut Command,
    limit: Duration,
) -> Result<()> {
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
    Ok(())
}

/// `pip install` of the sources into an environment of its own, and the package's tests there.
fn install(interpreter: &Interpreter, is_full: bool) -> Result<()> {
    if !is_full {
        return Ok(());
    }
    let folder = interpreter.folder().join("installed");
    let programs = folder.join("bin");
    let python = programs.join("python3");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(programs).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path).context("PATH")?;
    let pip = |words: &[&str]| {
        let quietly = ["--quiet", "--disable-pip-version-check"];
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "install"]).args(quietly);
        command.args(words).env("PATH", &path).current_dir(root());
        command
    };
    // What they say goes nowhere: one line tells.
    let goes = |mut command: Command| command.output().is_ok_and(|output| output.status.success());
    let mut environment = Command::new(&interpreter.program);
    environment.args(["-m", "venv", "--clear"]).arg(&folder);
    if !goes(environment) || !goes(pip(&[MATURIN])) {
        let minor = interpreter.minor;
        eprintln!(
            "xtask: skipped pip install with Python 3.{minor}: no environment, or no {MATURIN}"
        );
        return Ok(());
    }
    let mut installs = pip(&["--no-build-isolation", "./crates/berkeley-python"]);
    if !installs.status().is_ok_and(|status| status.success()) {
        bail!("failed: pip install ./crates/berkeley-python");
    }
    test_package(", installed,", interpreter, &python, None)
}

/// The interpreter's own search for leaks, on its own modules and on ours: minutes.
fn leaks(named: &[&str]) -> Result<()> {
    let mut programs = vec![PathBuf::from("python3"), PathBuf::from("python3-dbg")];
    programs.extend(MINORS.map(|minor| PathBuf::from(format!("python3.{minor}-dbg"))));
    programs.extend(beside());
    let mut found = programs.into_iter().filter_map(ask);
    let Some(interpreter) = found.find(|each| each.counts_references && each.has_tests) else {
        eprintln!(
            "xtask: skipped the search for leaks: no Python that counts references \
             (hint: apt-get install python3-dbg libpython3-testsuite)"
        );
        return Ok(());
    };
    let folder = build(&interpreter)?;
    let modules = if named.is_empty() { &LEAKY[..] } else { named };
    let tests = root().join("crates/berkeley-python/tests");
    for (name, path) in [("its own", Path::new("")), ("our", &folder)] {
        let mut command = Command::new(&interpreter.program);
        command
            .args(["-W", "ignore"])
            .arg(tests.join("leaks.py"))
            .args(modules)
            .env("PYTHONPATH", path);
        run_tests(
            &format!("leaks.py, {name} modules,"),
            &interpreter,
            &mut command,
            FULL_TIME_MAX,
        )?;
    }
    Ok(())
}
