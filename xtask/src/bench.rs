//! `cargo xtask bench`: builds what is measured, measures, and writes the documents that show it.

use anyhow::{Context, Result, bail};
use std::fs;
use std::process::{Command, Stdio};

use crate::{cargo, cargo_program, root};

const PERFORMANCE: &str = "docs/performance.md";
const README: &str = "README.md";

/// The table of the echo servers that the README shows; the others are in the document.
const README_TABLE: &str = "Requests per second of server CPU, as a ratio to bare";

/// Builds everything in release, then runs `switchboard bench` with these words.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    build()?;
    let words = [
        &["run", "--release", "-p", "switchboard", "--", "bench"],
        words,
    ]
    .concat();
    cargo(&words, &[])
}

/// Measures everything, or what is named alone, and writes the charts and the tables into the
/// documents. With `is_quick` it takes a minute and its figures mean little: to see that it works.
pub(crate) fn docs(is_quick: bool, only: &[&str]) -> Result<()> {
    build()?;
    let mut mux = vec!["mux", "--svg", "docs/mux.svg", "--png", "docs/mux.png"];
    let (mut echo, mut idle) = (vec!["echo"], vec!["idle"]);
    let mut fanout = vec!["fanout"];
    if is_quick {
        mux.extend(["--seconds", "0.02", "--rounds", "3"]);
        echo.extend([
            "--connections",
            "1,100",
            "--seconds",
            "0.1",
            "--rounds",
            "1",
        ]);
        idle.extend(["--connections", "1000", "--seconds", "1"]);
        fanout.extend(["--flat", "1:10,1:100", "--paced", "1:100"]);
        fanout.extend(["--silent", "1000", "--seconds", "0.1", "--rounds", "1"]);
    }
    let all = [
        ("mux", mux),
        ("idle", idle),
        ("echo", echo),
        ("fanout", fanout),
    ];
    if let Some(unknown) = only
        .iter()
        .find(|&&it| !all.iter().any(|(name, _)| *name == it))
    {
        bail!("there is no {unknown:?}: mux, idle, echo, fanout");
    }
    let mut failed = false;
    for (name, words) in all {
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let (tables, is_whole) = measure(&words)?;
        rewrite(PERFORMANCE, name, &tables)?;
        if name == "echo" {
            rewrite(README, name, &one_table(&tables, README_TABLE)?)?;
        }
        failed |= !is_whole;
    }
    if failed {
        bail!("some runs failed: {PERFORMANCE} says which");
    }
    Ok(())
}

fn build() -> Result<()> {
    let words = [
        "build",
        "--release",
        "-p",
        "switchboard",
        "-p",
        "bench-peers",
    ];
    cargo(&words, &[])
}

/// What `switchboard bench` writes in Markdown, and whether no run failed.
fn measure(words: &[&str]) -> Result<(String, bool)> {
    let shown = format!("switchboard bench {} --markdown", words.join(" "));
    eprintln!("xtask: {shown}");
    let output = Command::new(cargo_program())
        .args([
            "run",
            "--quiet",
            "--release",
            "-p",
            "switchboard",
            "--",
            "bench",
        ])
        .args(words)
        .arg("--markdown")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{shown}: can't be started"))?;
    let is_whole = output.status.success();
    if output.stdout.is_empty() {
        bail!("failed: {shown}");
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("{shown}: is no text"))?;
    Ok((text, is_whole))
}

/// Puts `content` between the marks `<!-- bench NAME -->` and `<!-- /bench NAME -->` of a file.
fn rewrite(path: &str, name: &str, content: &str) -> Result<()> {
    let file = root().join(path);
    let text = fs::read_to_string(&file).with_context(|| path.to_owned())?;
    let text = between_marks(&text, name, content).with_context(|| path.to_owned())?;
    fs::write(&file, text).with_context(|| path.to_owned())
}

fn between_marks(text: &str, name: &str, content: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- bench {name} -->\n"),
        format!("<!-- /bench {name} -->"),
    );
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        bail!("has no marks {begin:?} and {end:?}");
    };
    Ok(format!(
        "{before}{begin}{}\n{end}{after}",
        content.trim_end()
    ))
}

/// The table with this title out of many, and where they come from.
fn one_table(tables: &str, title: &str) -> Result<String> {
    let head = format!("**{title}**\n");
    let Some((_, rest)) = tables.split_once(&head) else {
        bail!("no table {title:?} was measured");
    };
    let lines = rest.trim_start().lines();
    let rows: Vec<&str> = lines.take_while(|line| line.starts_with('|')).collect();
    // Where and when: the last lines of all.
    let from = tables
        .lines()
        .filter(|line| line.starts_with("- medians of ") || line.starts_with("- measured on "));
    let from: Vec<&str> = from.collect();
    Ok(format!("{}\n\n{}", rows.join("\n"), from.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::{between_marks, one_table};

    #[test]
    fn only_what_lies_between_the_marks_is_replaced() {
        let text = "a\n<!-- bench x -->\nold\n<!-- /bench x -->\nb\n";
        let found = between_marks(text, "x", "new\n").unwrap();
        assert_eq!(found, "a\n<!-- bench x -->\nnew\n<!-- /bench x -->\nb\n");
        assert_eq!(between_marks(&found, "x", "new").unwrap(), found);
        assert!(between_marks(text, "y", "new").is_err());
    }

    #[test]
    fn a_table_is_found_by_its_title() {
        let text = "**one**\n\n| a |\n| --- |\n\n**two**\n\n| b |\n| --- |\n| 2 |\n\n\
                    - note\n- measured on a day\n";
        let expected = "| b |\n| --- |\n| 2 |\n\n- measured on a day";
        assert_eq!(one_table(text, "two").unwrap(), expected);
        assert!(one_table(text, "three").is_err());
    }
}
