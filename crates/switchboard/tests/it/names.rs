//! A file's name comes from the network, and leads nowhere but into `DATA/files/`.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use testkit::{Hub, names, tree, wire};

use crate::support::{assert_harmless, bin};

/// Uploads one file under each of these names, on connections of their own; the hub may refuse.
fn upload_as(hub: &Hub, raw_names: &[String]) {
    for name in raw_names {
        let parcels = [wire::file(name, name.as_bytes()), wire::close()].concat();
        drop(hub.upload(&parcels));
    }
}

#[test]
fn hostile_names_leave_nothing_outside_the_folder_of_files() {
    let around = TempDir::new().unwrap();
    // Deep enough that each `..` of the names below would still land in what is looked at.
    let outer = around.path().join("1/2/3/4");
    fs::create_dir_all(&outer).unwrap();
    let hub = Hub::start_in(bin(), &outer.join("data"), &[]);
    let before = tree(around.path(), &hub.files());
    let absolute = around
        .path()
        .join("absolute.txt")
        .to_str()
        .unwrap()
        .to_owned();
    let nested = format!("files{absolute}");
    let raw = [
        "../x",
        "../../x",
        "a/../../b",
        "a/../../../b",
        "..",
        ".",
        "",
        "/",
        "///",
        "a/",
        "nul\0inside",
        "\0",
        "..\\..\\x",
        "C:\\x",
        "a\\b",
        "~",
        "~root/x",
        "-rf",
        " ",
        "...",
        "\n",
        "a\nb",
        "\u{1b}[31m",
        "\u{202e}gpj.exe",
        "CON",
        "nul.txt",
        "COM1",
        "LPT9.log",
        "aux.",
        ".hidden",
        "x:y",
        "..\u{2215}x",
        "\u{ff0e}\u{ff0e}/x",
        "a//b",
        "%2e%2e%2fx",
    ];
    let mut raw: Vec<String> = raw.iter().map(|name| (*name).to_owned()).collect();
    raw.extend([
        absolute,
        nested,
        "n".repeat(300),
        "图".repeat(150),
        "../".repeat(200) + "deep",
    ]);
    upload_as(&hub, &raw);
    hub.serves();
    assert_eq!(tree(around.path(), &hub.files()), before);
    check_stored(&hub);
}

/// Whatever was kept is a plain file with a name that does no harm.
#[track_caller]
fn check_stored(hub: &Hub) {
    for name in names(&hub.files()) {
        let kind = fs::symlink_metadata(hub.files().join(&name))
            .unwrap()
            .file_type();
        assert!(kind.is_file(), "{name:?}");
        assert!(
            name.len() <= 255 && !name.contains(['\\', '\n']),
            "{name:?}"
        );
        assert_harmless(&name);
        let stem = name.split('.').next().unwrap().to_uppercase();
        assert!(
            !["CON", "NUL", "AUX", "COM1", "LPT9"].contains(&stem.as_str()),
            "{name:?}"
        );
    }
}

#[test]
fn a_symbolic_link_in_the_folder_is_not_followed() {
    let around = TempDir::new().unwrap();
    let (secret, fresh) = (
        around.path().join("secret.txt"),
        around.path().join("fresh.txt"),
    );
    fs::write(&secret, "untouched").unwrap();
    let hub = Hub::start_in(bin(), &around.path().join("data"), &[]);
    symlink(&secret, hub.files().join("link.txt")).unwrap();
    symlink(&fresh, hub.files().join("dangling.txt")).unwrap();
    symlink(around.path(), hub.files().join("folder")).unwrap();
    let raw = ["link.txt", "dangling.txt", "folder", "folder/in.txt"].map(str::to_owned);
    upload_as(&hub, &raw);
    hub.serves();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
    assert!(!fresh.exists());
    assert!(!around.path().join("in.txt").exists());
}

#[test]
fn a_folder_in_the_way_is_left_alone() {
    let around = TempDir::new().unwrap();
    let hub = Hub::start_in(bin(), &around.path().join("data"), &[]);
    fs::create_dir(hub.files().join("taken")).unwrap();
    let mut watcher = hub.join();
    upload_as(&hub, &["taken".to_owned()]);
    watcher.notice(&["taken"]);
    assert!(hub.files().join("taken").is_dir());
    assert_eq!(hub.file("taken (2)"), b"taken");
}

#[test]
fn a_long_name_keeps_its_ending() {
    let around = TempDir::new().unwrap();
    let hub = Hub::start_in(bin(), &around.path().join("data"), &[]);
    let mut watcher = hub.join();
    upload_as(&hub, &["图".repeat(200) + ".jpeg"]);
    watcher.notice(&[".jpeg"]);
    let stored = names(&hub.files());
    assert_eq!(stored.len(), 1);
    assert!(
        stored[0].ends_with(".jpeg") && stored[0].starts_with("图图"),
        "{stored:?}"
    );
}
