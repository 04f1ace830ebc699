//! `switchboard get` with servers that do their best.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use switchboard_client::get::{
    CONTENT_BYTES_MAX, JOBS, JOBS_MAX, JOBS_PER_HOST, REDIRECTS, RETRIES,
};
use tempfile::TempDir;
use testkit::{Finished, PATIENCE, Program, names};

use crate::support::{assert_harmless, bin, nobody, on_a_terminal, python_server, run};

/// What the server makes of a name.
pub(crate) fn content(name: &str, size: usize) -> Vec<u8> {
    let block = format!("{name}|").into_bytes();
    block.into_iter().cycle().take(size).collect()
}

/// A server of made-up files, and how its addresses begin.
pub(crate) fn server() -> (Program, String) {
    let (program, address) = python_server("files_server.py", &[]);
    (program, format!("http://{address}"))
}

/// Runs `get` into a folder.
#[track_caller]
pub(crate) fn get(folder: &Path, arguments: &[&str]) -> Finished {
    let own = ["get", "-d", folder.to_str().unwrap()];
    run(&[&own, arguments].concat())
}

#[track_caller]
pub(crate) fn json(finished: &Finished) -> Vec<Value> {
    let text = finished.text();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Waits until a partial file has so many bytes.
#[track_caller]
pub(crate) fn wait_part(folder: &Path, bytes: u64) {
    let until = Instant::now() + PATIENCE;
    let is_part = |name: &String| name.ends_with(".part");
    let len = |name: String| fs::metadata(folder.join(name)).map_or(0, |it| it.len());
    while names(folder)
        .into_iter()
        .filter(is_part)
        .map(len)
        .sum::<u64>()
        < bytes
    {
        assert!(Instant::now() < until, "{:?}", names(folder));
        std::thread::yield_now();
    }
}

#[test]
fn fifty_files_at_once_come_whole_over_every_back_end() {
    let (_server, base) = server();
    for mux in ["select", "poll", "epoll", "io-uring"] {
        let folder = TempDir::new().unwrap();
        let size = |number: usize| number * number * 997;
        let mut urls = Vec::new();
        for number in 0..50 {
            let kind = ["", "plain/", "chunked/"][number % 3];
            urls.push(format!("{base}/{kind}{}/file-{number}", size(number)));
        }
        let own = ["--mux", mux, "--jobs", "50", "--per-host", "50"];
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        get(folder.path(), &[&own[..], &urls].concat()).succeeded();
        assert_eq!(names(folder.path()).len(), 50, "{mux}");
        for number in 0..50 {
            let name = format!("file-{number}");
            let bytes = fs::read(folder.path().join(&name)).unwrap();
            assert!(bytes == content(&name, size(number)), "{name} by {mux}");
        }
    }
}

#[test]
fn other_peoples_servers_are_understood() {
    let files = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
    fs::write(files.path().join("a b.bin"), &bytes).unwrap();
    let script = "import http.server, functools, sys
h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), h)
print('port', s.server_address[1], flush=True)
s.serve_forever()";
    let folder = files.path().to_str().unwrap();
    let server = Program::start("python3", ["-u", "-c", script, folder]);
    let port = server.out.wait_line(&["port "]).replace("port ", "");
    let target = TempDir::new().unwrap();
    let base = format!("localhost:{port}");
    let (file, list) = (format!("{base}/a%20b.bin"), format!("{base}/"));
    get(target.path(), &[&file, &list]).succeeded();
    assert!(fs::read(target.path().join("a b.bin")).unwrap() == bytes);
    let list = fs::read_to_string(target.path().join("index.html")).unwrap();
    assert!(list.contains("a%20b.bin"), "{list}");
    let told = get(target.path(), &[&format!("{base}/none")]);
    told.failed_with(&["404", "none"]);
}

#[test]
fn connections_are_used_again_and_each_host_has_its_share() {
    let (server, base) = server();
    let folder = TempDir::new().unwrap();
    let most = JOBS_PER_HOST.to_string();
    for (names, jobs, per_host, connections) in [
        ("one", "1", "3", 1),
        ("three", "12", "3", 3),
        ("most", "12", &*most, JOBS_PER_HOST),
    ] {
        let urls: Vec<_> = (0..12).map(|n| format!("{base}/5/{names}-{n}")).collect();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let own = ["--jobs", jobs, "--per-host", per_host];
        get(folder.path(), &[&own, &urls[..]].concat()).succeeded();
        let asked = server.out.wait_until("all requests", PATIENCE, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let lines = text.lines().filter(|line| line.contains(names));
            let ids = lines.filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned()));
            let ids: Vec<_> = ids.collect();
            (ids.len() == 12 && text.ends_with('\n')).then_some(ids)
        });
        let used: std::collections::BTreeSet<_> = asked.iter().collect();
        assert!(used.len() <= connections, "{names}: {asked:?}");
    }
}

#[test]
fn nothing_is_overwritten_unless_that_is_asked_for() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    let (one, two) = (format!("{base}/10/a"), format!("{base}/20/a"));
    get(folder.path(), &[&one, &two, "--jobs", "1"]).succeeded();
    assert_eq!(names(folder.path()), ["a", "a (2)"]);
    let told = get(folder.path(), &[&two, &two, "--json"]).succeeded();
    let told = json(&told);
    assert_eq!((told.len(), &told[0]["was_there"]), (1, &Value::Bool(true)));
    assert_eq!(names(folder.path()), ["a", "a (2)"]);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), content("a", 10));
    get(folder.path(), &[&two, "--force"]).succeeded();
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), content("a", 20));

    let file = folder.path().join("b");
    let file = file.to_str().unwrap();
    run(&["get", &one, "-o", file]).succeeded();
    assert_eq!(fs::read(file).unwrap(), content("a", 10));
    let told = run(&["get", &two, "-o", file]);
    told.failed_with(&[file, "is there already", "--force"]);
    run(&["get", &two, "-o", file, "--force"]).succeeded();
    assert_eq!(fs::read(file).unwrap(), content("a", 20));
    assert_eq!(names(folder.path()), ["a", "a (2)", "b"], "nothing is left");
}

#[test]
fn names_from_the_network_are_harmless() {
    let (_server, base) = server();
    let around = TempDir::new().unwrap();
    let folder = around.path().join("in");
    for (value, name) in [
        ("attachment; filename=\"../../../tmp/x\"", "x"),
        ("attachment; filename*=UTF-8''..%2F..%2Ftmp%2Fy", "y"),
        (
            "attachment; filename=\"C:\\\\Windows\\\\boot.ini\"",
            "boot.ini",
        ),
        ("attachment; filename=\"/etc/passwd\"", "passwd"),
        ("attachment; filename=\".bashrc\"", "_.bashrc"),
        ("attachment; filename=\"NUL\"", "_NUL"),
        (
            "attachment; filename*=UTF-8''a%1B%5B2J%0Ab%E2%80%AEc",
            "a_[2J_b_c",
        ),
        ("attachment; filename=\"..\"", "fallback"),
    ] {
        let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        // What is escaped twice is decoded by the server once.
        let url = format!("{base}/name/{escaped}/fallback");
        let told = get(&folder, &[&url]).succeeded();
        assert_harmless(&told.text());
        assert_eq!(names(&folder), [name], "{value}");
        fs::remove_dir_all(&folder).unwrap();
    }
    assert_eq!(testkit::tree(around.path(), Path::new("")).len(), 0);
}

#[test]
fn one_content_goes_to_standard_output_and_has_its_sum() {
    let (_server, base) = server();
    let bytes = content("a", 100_000);
    let cut = format!("{base}/cut/30000/100000/a");
    let told = run(&["get", &cut, "-o", "-"]).succeeded();
    assert!(told.out == bytes, "though it was cut again and again");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a");
    fs::write(&file, &bytes).unwrap();
    let sum = Program::run("sha256sum", [file.to_str().unwrap()])
        .succeeded()
        .text();
    let right = format!("sha256:{}", sum.split(' ').next().unwrap());
    let wrong = format!("blake3:{}", "0".repeat(64));
    let url = format!("{base}/100000/a");
    for output in ["-", folder.path().join("b").to_str().unwrap()] {
        run(&["get", &url, "-o", output, "--checksum", &right]).succeeded();
        let told = run(&["get", &url, "-o", output, "--checksum", &wrong, "--force"]);
        assert_eq!(told.status.code(), Some(1));
        assert!(told.err.contains("its blake3 is"), "{}", told.err);
    }
    assert_eq!(
        names(folder.path()),
        ["a", "b"],
        "what is wrong is thrown away"
    );
    let script = format!(
        "'{}' get -o - {base}/9000000/a | head -c 1",
        bin().display()
    );
    let told = Program::run("sh", ["-c", &script]);
    assert_eq!((told.out.len(), told.err.as_str()), (1, ""));
}

#[test]
fn people_see_bars_and_programs_get_objects() {
    let (_server, base) = server();
    let folder = TempDir::new().unwrap();
    let (good, bad) = (
        format!("{base}/to/%2F700000%2Fa"),
        format!("{base}/status/404"),
    );
    let told = get(folder.path(), &["--json", &good, &bad]);
    assert_eq!(told.status.code(), Some(1), "the worst of all");
    let mut told = json(&told);
    told.sort_by_key(|it| it["status"].as_u64());
    assert_eq!(told[0]["status"], 200);
    assert_eq!(told[0]["final_url"], format!("{base}/700000/a"));
    let file = folder.path().join("a");
    assert_eq!(told[0]["file"], file.to_str().unwrap());
    assert_eq!(
        (&told[0]["bytes"], &told[0]["error"]),
        (&700_000.into(), &Value::Null)
    );
    assert_eq!(told[1]["error"], "the server answers 404 X");
    let path = folder.path().to_str().unwrap();
    let mut screen = on_a_terminal(&["get", &good, "-d", path, "--force"]);
    let told = screen.finish().succeeded();
    assert!(told.text().contains("700000 bytes"), "{}", told.text());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    let (server, base) = server();
    let folder = TempDir::new().unwrap();
    let good = format!("{base}/5/a");
    let long = format!("http://a/{}", "x".repeat(8000));
    let too_many = (JOBS_MAX + 1).to_string();
    for (arguments, words) in [
        (&["https://hub.example/a"][..], "https is not spoken yet"),
        (&[&good, "https://hub.example/a"], "https is not spoken yet"),
        (&["ftp://hub.example/a"], "ftp:// is not spoken"),
        (&["http://me:secret@hub.example/a"], "names and passwords"),
        (&["http://"], "no address"),
        (&[&long], "at most 8000 bytes"),
        (
            &[&good, "http://a/", "--output", "x"],
            "--output is for one address",
        ),
        (&[&good, "--jobs", "0"], "from 1 to 256"),
        (&[&good, "--jobs", &too_many], "from 1 to 256"),
        (&[&good, "--checksum", "md5:0"], "sha256 and blake3"),
        (&[], "URL"),
    ] {
        let mut command = Command::new(bin());
        command
            .arg("get")
            .args(arguments)
            .current_dir(folder.path());
        let told = Program::start_command(&mut command).finish();
        assert_eq!(told.status.code(), Some(2), "{arguments:?}: {}", told.err);
        assert!(told.err.contains(words), "{words}: {}", told.err);
        if words.ends_with("spoken yet") {
            assert_eq!(told.err.lines().count(), 1, "{}", told.err);
        }
    }
    assert_eq!(names(folder.path()).len(), 0);
    assert!(!server.out.text().contains("/5/a"), "nothing was asked");
    let nobody = nobody();
    let told = get(
        folder.path(),
        &[&format!("http://{nobody}/a"), "--retries", "0"],
    );
    told.failed_with(&[&nobody.to_string(), "refused"]);
    get(folder.path(), &["--jobs", &JOBS_MAX.to_string(), &good]).succeeded();
}

#[test]
fn the_help_tells_what_holds_when_nothing_is_said() {
    let told = run(&["get", "--help"]);
    let help = String::from_utf8_lossy(&told.out);
    for (flag, value) in [
        ("--jobs", JOBS as u64),
        ("--per-host", JOBS_PER_HOST as u64),
        ("--retries", RETRIES.into()),
        ("--redirects", REDIRECTS.into()),
        ("--max-bytes", CONTENT_BYTES_MAX),
    ] {
        let (_, text) = help.split_once(&format!("{flag} <")).unwrap();
        let (_, text) = text.split_once("[default: ").unwrap();
        let (default, _) = text.split_once(']').unwrap();
        assert_eq!(default, value.to_string(), "{flag}");
    }
}
