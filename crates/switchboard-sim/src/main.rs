//! `cargo xtask sim`: many seeds, or one of them line by line.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to the person at the terminal"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;

use switchboard_sim::{Mutant, Options, Outcome, run};

const USAGE: &str = "\
sim [--seeds N] [--from SEED]   lives through N worlds (200), one for each seed from SEED (1) on
sim --seed SEED                 lives through one, and prints what happens in it
sim --seed SEED --last N        the last N lines of that only
sim --mutants N                 puts in each defect that should be found, in N worlds at most";

/// The lines of a failed world that are printed unasked.
const LAST_LINES: usize = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(seeds) = asked.get("--mutants") {
        mutants(*seeds);
    }
    let is_sound = match asked.get("--seed") {
        _ if asked.contains_key("--mutants") => true,
        Some(seed) => one(*seed, asked.get("--last").copied()),
        None => many(
            asked.get("--from").copied().unwrap_or(1),
            asked.get("--seeds").copied().unwrap_or(200),
        ),
    };
    if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Each option is a word and a number.
fn read(arguments: &[String]) -> Option<BTreeMap<&str, u64>> {
    let mut asked = BTreeMap::new();
    for pair in arguments.chunks(2) {
        let [word, number] = pair else {
            return None;
        };
        if !["--seeds", "--from", "--seed", "--last", "--mutants"].contains(&word.as_str()) {
            return None;
        }
        asked.insert(word.as_str(), number.parse().ok()?);
    }
    Some(asked)
}

fn many(from: u64, seeds: u64) -> bool {
    let (mut counts, mut events, mut traces) = (BTreeMap::new(), 0, 0_u64);
    for seed in from..from.saturating_add(seeds) {
        let outcome = run(seed, Options::default());
        if outcome.failure.is_some() {
            return one(seed, Some(LAST_LINES as u64));
        }
        events += outcome.events;
        traces = traces.rotate_left(1) ^ outcome.hash;
        for (what, count) in outcome.counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    println!("{seeds} seeds from {from} on, {events} events: all that has to hold did");
    println!("traces {traces:016x}: the same for the same seeds");
    for (what, count) in counts {
        println!("{count:>12} {what}");
    }
    true
}

fn mutants(seeds: u64) {
    for mutant in Mutant::ALL {
        let options = Options {
            mutant: Some(mutant),
            ..Options::default()
        };
        let mut worlds = (1..=seeds).map(|seed| run(seed, options));
        let found = worlds.find_map(|outcome| Some((outcome.seed, outcome.failure?)));
        match found {
            Some((seed, failure)) => println!("{mutant:?}: seed {seed}: {}", failure.what),
            None => println!("{mutant:?}: not found"),
        }
    }
}

fn one(seed: u64, last: Option<u64>) -> bool {
    let options = Options {
        keeps_trace: true,
        ..Options::default()
    };
    let Outcome {
        hash,
        failure,
        trace,
        events,
        ..
    } = run(seed, options);
    let last = last.map_or(trace.len(), |last| usize::try_from(last).unwrap_or(0));
    for line in trace.iter().skip(trace.len().saturating_sub(last)) {
        println!("{line}");
    }
    println!("seed {seed}: {events} events, trace {hash:016x}");
    match failure {
        Some(failure) => {
            println!(
                "seed {seed} failed at {} us: {}",
                failure.at_micros, failure.what
            );
            println!("again: cargo xtask sim --seed {seed}");
            false
        }
        None => true,
    }
}
