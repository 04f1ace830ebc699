//! Other people's programs the tests talk to: present, or installed, or a line on how to get them.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Output};

/// A program, the arguments that make it describe itself, and what the right one says then.
struct Need {
    program: &'static str,
    arguments: &'static [&'static str],
    says: &'static str,
    package: &'static str,
    /// False where the tests without it say so and go on.
    is_required: bool,
}

/// `nc` has to be OpenBSD's: the other one that Debian has knows no Unix sockets.
const NEEDS: [Need; 4] = [
    Need {
        program: "python3",
        arguments: &["--version"],
        says: "Python 3",
        package: "python3",
        is_required: true,
    },
    Need {
        program: "nc",
        arguments: &["-h"],
        says: "OpenBSD",
        package: "netcat-openbsd",
        is_required: true,
    },
    Need {
        program: "curl",
        arguments: &["--version"],
        says: "curl",
        package: "curl",
        is_required: true,
    },
    Need {
        program: "valgrind",
        arguments: &["--version"],
        says: "valgrind",
        package: "valgrind",
        is_required: false,
    },
];

const INSTALL: &str = "apt-get install -y --no-install-recommends";

/// Leaves with every needed program in place, or says in one line what is missing.
pub(crate) fn run() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.program).collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let (names, packages) = (names.join(", "), packages.join(" "));
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        if missing.iter().all(|need| !need.is_required) {
            eprintln!("xtask: some tests need {names}; hint: {INSTALL} {packages}");
            return Ok(());
        }
        bail!("the tests need {names}: missing here; hint: {INSTALL} {packages}");
    }
    eprintln!("xtask: the tests need {names}: installing {packages}");
    apt_get("update -qq")?;
    apt_get(&format!(
        "{} {packages}",
        INSTALL.trim_start_matches("apt-get ")
    ))?;
    if let Some(need) = self::missing().first() {
        bail!(
            "{} was installed, yet no {} can be run",
            need.package,
            need.program
        );
    }
    Ok(())
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !is_present(need)).collect()
}

fn is_present(need: &Need) -> bool {
    Command::new(need.program)
        .args(need.arguments)
        .output()
        .is_ok_and(|output| said(&output).contains(need.says))
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| said(&output).trim() == "0")
}

/// Runs quietly; what it printed is worth reading only when it failed.
fn apt_get(arguments: &str) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments.split(' '))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("apt-get: can't be started")?;
    if !output.status.success() {
        bail!(
            "apt-get {arguments}: {}\n{}",
            output.status,
            said(&output).trim_end()
        );
    }
    Ok(())
}
