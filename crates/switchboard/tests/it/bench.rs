//! `bench`, with sizes so small that nothing but its form can be told from them.

use serde_json::Value;

use crate::support::{python, run};

fn json(arguments: &[&str]) -> Value {
    let told = run(arguments).succeeded();
    serde_json::from_str(&told.text()).unwrap_or_else(|error| panic!("{error}: {}", told.text()))
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

const SMALL_MUX: [&str; 8] = [
    "bench",
    "mux",
    "--idle",
    "3,40",
    "--seconds",
    "0.002",
    "--rounds",
    "2",
];

#[test]
fn mux_measures_each_back_end_and_draws_it() {
    let folder = tempfile::tempdir().unwrap();
    let (svg, png) = (folder.path().join("mux.svg"), folder.path().join("mux.png"));
    let (svg, png) = (svg.to_str().unwrap(), png.to_str().unwrap());
    let files = ["--svg", svg, "--png", png, "--json"];
    let report = json(&[&SMALL_MUX[..], &files].concat());
    assert!(report["command"].as_str().unwrap().contains("bench mux"));
    assert!(!report["machine"]["kernel"].as_str().unwrap().is_empty());
    let series = report["series"].as_array().unwrap();
    let names: Vec<&str> = series
        .iter()
        .map(|one| one["backend"].as_str().unwrap())
        .collect();
    assert!(names.starts_with(&["select", "poll", "epoll"]), "{names:?}");
    for one in series {
        let points = one["points"].as_array().unwrap();
        assert_eq!(points.len(), 2, "{one}");
        for point in points {
            assert!(number(&point["beside_idle_ns"]["median"]) > 0.0, "{point}");
            assert!(number(&point["all_busy_per_s"]["median"]) > 0.0, "{point}");
        }
    }
    let pictures = python("pictures.py", &[svg, png]).finish().succeeded();
    let text = pictures.text();
    for shown in [
        "epoll",
        "poll",
        "idle sockets",
        "Linux",
        "switchboard bench mux",
    ] {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
    assert!(text.contains("pixels "), "{text}");
}

#[test]
fn mux_says_where_select_ends() {
    let arguments = ["--idle", "1100", "--mux", "select,epoll"];
    let small = ["bench", "mux", "--seconds", "0.002", "--rounds", "2"];
    let report = json(&[&small[..], &arguments, &["--json"]].concat());
    let series = report["series"].as_array().unwrap();
    let end = series[0]["ended_at"].as_u64().unwrap();
    assert!((900..1024).contains(&end), "{end}");
    assert_eq!(series[0]["points"][0]["sockets"].as_u64(), Some(end));
    assert!(series[1]["ended_at"].is_null());
    assert_eq!(series[1]["points"][0]["sockets"], 1100);
    let notes = report["notes"].to_string();
    assert!(notes.contains("select ends at"), "{notes}");
    assert!(notes.contains("below 1024"), "{notes}");
}

#[test]
fn echo_measures_every_server_under_every_load() {
    let report = json(&[
        "bench",
        "echo",
        "--connections",
        "1,3",
        "--bytes",
        "64,5000",
        "--depth",
        "1,4",
        "--rounds",
        "2",
        "--seconds",
        "0.01",
        "--servers",
        "epoll,poll",
        "--json",
    ]);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2 * 2 * 2 * 2);
    for entry in entries {
        assert_eq!(entry["runs"].as_array().unwrap().len(), 2, "{entry}");
        for figure in ["requests_per_s", "requests_per_cpu_s", "p50_us", "p99_us"] {
            assert!(number(&entry[figure]["median"]) > 0.0, "{figure}: {entry}");
        }
        // There is nothing to compare with.
        assert!(entry["per_cpu_to_bare"].is_null(), "{entry}");
    }
    assert_eq!(report["failures"].as_array().unwrap().len(), 0);
}

#[test]
fn tables_name_the_servers_the_machine_and_the_command() {
    let small = [
        "bench",
        "echo",
        "--connections",
        "2",
        "--bytes",
        "64",
        "--depth",
        "1",
        "--rounds",
        "1",
        "--seconds",
        "0.01",
    ];
    let told = run(&[&small[..], &["--markdown"]].concat()).succeeded();
    let text = told.text();
    let head = "| connections x bytes x in flight | select | poll | epoll |";
    assert!(text.contains(head), "{text}");
    for shown in [
        "| 2 x 64 x 1 |",
        "Linux ",
        "switchboard bench echo",
        "Latency",
    ] {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
    // The others are there if somebody has built them, and if not it says how.
    let hint = told.err.contains("cargo build --release -p bench-peers");
    assert!(
        text.contains("| bare | tokio |") || hint,
        "{text}{}",
        told.err
    );
}

#[test]
fn idle_tells_what_silence_costs() {
    let report = json(&[
        "bench",
        "idle",
        "--connections",
        "50",
        "--seconds",
        "0.05",
        "--servers",
        "epoll,select",
        "--json",
    ]);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!(entry["connections"], 50);
        for figure in ["bytes_per_connection", "cpu_s", "wake_ups", "accept_cpu_s"] {
            assert!(number(&entry[figure]) >= 0.0, "{figure}: {entry}");
        }
    }
}

/// The hubs that can be had here.
fn hubs() -> Vec<String> {
    let told = run(&["bench", "fanout", "--hubs", "nobody"]);
    let (_, names) = told.err.split_once("here, only ").unwrap();
    let names = names.lines().next().unwrap();
    for name in ["bare", "redis", "nats", "inspircd", "mosquitto"] {
        if !names.contains(name) {
            eprintln!("skipped: {name}: it is not here");
        }
    }
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn fanout_loses_nothing_of_what_any_hub_tells() {
    for hub in hubs() {
        // It lets in once a second.
        let is_slow = hub == "inspircd";
        let parts = if is_slow {
            "flat"
        } else {
            "flat,paced,churn,silent"
        };
        let small = [
            "bench",
            "fanout",
            "--seconds",
            "0.1",
            "--rounds",
            "1",
            "--json",
        ];
        let of = [
            "--flat", "2:5", "--paced", "1:4", "--pace", "2000", "--silent", "30",
        ];
        let this = ["--hubs", &hub, "--parts", parts];
        let report = json(&[&small[..], &of, &this].concat());
        assert_eq!(report["failures"].as_array().unwrap().len(), 0);
        let entries = report["entries"].as_array().unwrap();
        assert_eq!(entries.len(), if is_slow { 1 } else { 3 });
        for entry in entries {
            for figure in ["per_s", "cpu_ns_each", "p50_us", "p99_us", "peak_bytes"] {
                assert!(number(&entry[figure]["median"]) > 0.0, "{figure}: {entry}");
            }
            assert_eq!(
                (&entry["lost"], &entry["reordered"]),
                (&0.into(), &0.into())
            );
            assert!(number(&entry["of"]) > 0.0, "{entry}");
        }
        for found in report["silence"].as_array().unwrap() {
            assert_eq!(found["members"], 30);
            assert!(number(&found["join_cpu_s"]) > 0.0, "{found}");
        }
    }
}

#[test]
fn fanout_measures_slow_readers_shards_and_parcels_of_ours() {
    let small = ["--seconds", "0.05", "--rounds", "1", "--json"];
    let parts = ["--parts", "slow,shards,parcels", "--slow", "1:5"];
    let of = ["--rooms", "3:12", "--hubs", "ours-epoll,ours-epoll-log"];
    let report = json(&[&["bench", "fanout"], &small[..], &parts, &of].concat());
    assert_eq!(report["failures"].as_array().unwrap().len(), 0);
    let entries = report["entries"].as_array().unwrap();
    // Four kinds of reader with the log off and on, two numbers of shards, parcels of both.
    assert_eq!(entries.len(), 4 * 2 + 2 + 2);
    for entry in entries {
        for figure in ["per_s", "cpu_ns_each", "busiest_cpu_ns_each", "p99_us"] {
            assert!(number(&entry[figure]["median"]) > 0.0, "{figure}: {entry}");
        }
        let wrong = (&entry["lost"], &entry["reordered"]);
        assert_eq!(wrong, (&0.into(), &0.into()), "{entry}");
    }
    let goals = report["goals"].as_array().unwrap();
    let goal = |what: &str| {
        let is_it = |goal: &&Value| goal["what"].as_str().unwrap().contains(what);
        let found = goals.iter().find(is_it);
        found.unwrap_or_else(|| panic!("no {what}: {goals:?}"))
    };
    for what in [
        "a stalled reader",
        "1 B/s",
        "a flapping reader",
        "busiest thread",
        "parcels a second on one connection, on disk",
    ] {
        assert!(number(&goal(what)["found"]["median"]) > 0.0, "{what}");
        assert!(goal(what)["is_met"].is_boolean(), "{what}");
    }
    assert_eq!(goal("lost and reordered")["is_met"], true);
}

#[test]
fn fanout_says_what_a_hub_is_and_that_nothing_was_lost() {
    let small = ["--parts", "flat", "--flat", "1:2", "--rounds", "2"];
    let of = [
        "--hubs",
        "ours-poll,ours-epoll",
        "--seconds",
        "0.05",
        "--markdown",
    ];
    let told = run(&[&["bench", "fanout"], &small[..], &of].concat()).succeeded();
    let text = told.text();
    for shown in [
        "| speakers → members | ours-poll | ours-epoll |",
        "| 1 → 2 |",
        "lost 0 and reordered 0 of ",
        "--mux poll",
        "switchboard bench fanout",
    ] {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
    // There is nothing to compare with.
    assert!(!text.contains("as a ratio"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let echo = ["bench", "echo", "--servers", "epoll"];
    let fanout = ["bench", "fanout", "--hubs", "ours-epoll"];
    let cases: [(&[&str], &[&str], &str); 16] = [
        (
            &echo,
            &["--bytes", "0"],
            "bytes: 0 is not between 1 and 1048576",
        ),
        (
            &echo,
            &["--depth", "1,5000"],
            "depth: 5000 is not between 1 and 1024",
        ),
        (
            &echo,
            &["--connections", "0"],
            "connections: 0 is not between",
        ),
        (&echo, &["--rounds", "0"], "rounds: 0 is not"),
        (&echo, &["--connections", "99999999"], "descriptors"),
        (
            &["bench", "echo"],
            &["--servers", "nobody"],
            "there is no server \"nobody\" here",
        ),
        (&["bench", "mux"], &["--mux", "nobody"], "nobody"),
        (&["bench", "mux"], &["--idle", "9999999"], "descriptors"),
        (
            &["bench", "idle"],
            &["--connections", "0"],
            "nothing to measure",
        ),
        (&fanout, &["--flat", "1"], "two numbers such as 10:1000"),
        (&fanout, &["--flat", "0:5"], "speakers: 0 is not between 1"),
        (&fanout, &["--bytes", "31"], "bytes: 31 is not between 32"),
        (
            &fanout,
            &["--rooms", "3:10"],
            "10 members can't be dealt out",
        ),
        (&fanout, &["--window", "0"], "window: 0 is not between 1"),
        (&fanout, &["--silent", "99999999"], "descriptors"),
        (
            &["bench", "fanout"],
            &["--hubs", "nobody"],
            "there is no hub \"nobody\" here, only ours-",
        ),
    ];
    for (command, arguments, reason) in cases {
        let told = run(&[command, arguments].concat());
        assert!(!told.status.success(), "{arguments:?}");
        assert!(told.err.contains(reason), "{arguments:?}: {}", told.err);
        assert_eq!(told.text(), "", "{arguments:?}");
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_an_error() {
    let nowhere = "/nonexistent/mux.svg";
    let told = run(&[&SMALL_MUX[..], &["--svg", nowhere]].concat());
    assert!(!told.status.success());
    assert!(told.err.contains(nowhere), "{}", told.err);
}
