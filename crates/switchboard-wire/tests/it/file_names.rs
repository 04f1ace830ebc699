//! File names: a table of what becomes of each kind, and what holds for any.

use proptest::prelude::*;
use switchboard_wire::limits::{FILE_EXTENSION_BYTES_MAX, FILE_NAME_BYTES_MAX};
use switchboard_wire::{FileName, NameError};

fn reduce(raw: &str) -> String {
    FileName::reduce(raw)
        .unwrap_or_else(|error| panic!("{raw:?}: {error}"))
        .to_string()
}

fn check(cases: &[(&str, &str)]) {
    for (raw, name) in cases {
        assert_eq!(reduce(raw), *name, "{raw:?}");
    }
}

#[test]
fn only_the_last_component_of_a_path_counts() {
    check(&[
        ("x", "x"),
        ("../x", "x"),
        ("/abs/x", "x"),
        ("a/../../b", "b"),
        (r"C:\dir\x.png", "x.png"),
        (r"..\..\x", "x"),
        (r"a\b/c", "c"),
        ("dir/", "dir"),
        ("dir//\\", "dir"),
    ]);
}

#[test]
fn ordinary_names_of_any_script_stay() {
    let names = [
        "图片.png",
        ".bashrc",
        "a b.txt",
        "..x",
        "x..y",
        "we:ird<>|?*\".txt",
        "naïve",
        "~",
        "_",
    ];
    for name in names {
        assert_eq!(reduce(name), name);
    }
}

#[test]
fn a_name_that_is_no_file_is_refused() {
    for raw in [".", "..", "../..", "a/..", r"a\.", "./"] {
        assert_eq!(FileName::reduce(raw), Err(NameError::Dots), "{raw:?}");
    }
    for raw in ["", "/", r"\\/", " ", "a/ ", "...", ". . .", "\u{3000}"] {
        assert_eq!(FileName::reduce(raw), Err(NameError::Empty), "{raw:?}");
    }
    for raw in ["\0", "a\0.png", "dir\0/a"] {
        assert_eq!(FileName::reduce(raw), Err(NameError::Nul), "{raw:?}");
    }
}

#[test]
fn characters_that_hide_or_forge_become_underscores() {
    check(&[
        ("a\nb", "a_b"),
        ("\x1b[2J.txt", "_[2J.txt"),
        ("a\tb\x7f\u{85}\u{9b}", "a_b___"),
        ("a\u{2028}b\u{2029}", "a_b_"),
        ("gnp\u{202e}.exe", "gnp_.exe"),
        ("\u{2066}a\u{2069}", "_a_"),
        ("\n", "_"),
    ]);
}

#[test]
fn white_space_around_a_name_and_dots_after_it_are_removed() {
    check(&[
        ("  a.txt  ", "a.txt"),
        ("a...", "a"),
        ("a. . ", "a"),
        (" .a ", ".a"),
        ("dir /b ", "b"),
    ]);
}

#[test]
fn a_name_is_no_option_and_no_device() {
    check(&[
        ("-rf", "_-rf"),
        (" --help", "_--help"),
        ("a/-", "_-"),
        ("NUL", "_NUL"),
        ("nul.txt", "_nul.txt"),
        ("CON .txt", "_CON .txt"),
        ("con.tar.gz", "_con.tar.gz"),
        ("aux:stream", "_aux:stream"),
        ("Prn", "_Prn"),
        ("COM0", "_COM0"),
        ("com9.log", "_com9.log"),
        ("LPT1", "_LPT1"),
        ("COM¹", "_COM¹"),
        ("lpt².x", "_lpt².x"),
        ("LPT³", "_LPT³"),
        ("conin$", "_conin$"),
        ("CONOUT$.x", "_CONOUT$.x"),
        ("Clock$", "_Clock$"),
        ("COM10", "COM10"),
        ("COM", "COM"),
        ("COMé", "COMé"),
        ("console", "console"),
        ("nul2", "nul2"),
        (".nul", ".nul"),
    ]);
}

#[test]
fn a_name_of_the_limit_stays_and_a_longer_one_keeps_its_extension() {
    for len in [FILE_NAME_BYTES_MAX - 1, FILE_NAME_BYTES_MAX] {
        let name = "n".repeat(len);
        assert_eq!(reduce(&name), name);
    }
    assert_eq!(reduce(&"n".repeat(256)), "n".repeat(255));
    assert_eq!(
        reduce(&format!("{}.png", "n".repeat(252))),
        format!("{}.png", "n".repeat(251))
    );
    // A character is never cut in two: 83 of three bytes are 249, and one byte stays unused.
    assert_eq!(
        reduce(&format!("{}.tiff", "图".repeat(90))),
        format!("{}.tiff", "图".repeat(83))
    );
    // What stands after the last dot is an extension only if it is short.
    for len in [FILE_EXTENSION_BYTES_MAX - 1, FILE_EXTENSION_BYTES_MAX] {
        let short = format!(".{}", "e".repeat(len));
        assert!(reduce(&("n".repeat(300) + &short)).ends_with(&format!("n{short}")));
    }
    let long = format!(".{}", "e".repeat(FILE_EXTENSION_BYTES_MAX + 1));
    assert_eq!(reduce(&("n".repeat(300) + &long)), "n".repeat(255));
}

#[test]
fn a_name_that_shortening_makes_a_device_is_guarded_too() {
    let name = reduce(&format!("CON{}x.txt", " ".repeat(300)));
    assert!(name.starts_with("_CON ") && name.ends_with(".txt") && name.len() <= 255);
    assert_eq!(reduce(&format!("CON{}x", " ".repeat(300))), "_CON");
}

#[test]
fn a_taken_name_is_numbered_before_its_extension() {
    let cases = [
        ("cat.png", "cat (2).png"),
        ("archive.tar.gz", "archive.tar (2).gz"),
        (".bashrc", ".bashrc (2)"),
        ("Makefile", "Makefile (2)"),
        ("图片.png", "图片 (2).png"),
    ];
    for (raw, numbered) in cases {
        assert_eq!(
            FileName::reduce(raw).unwrap().numbered(2).as_str(),
            numbered
        );
    }
    let long = FileName::reduce(&format!("{}.png", "n".repeat(251))).unwrap();
    assert_eq!(
        long.numbered(10).as_str(),
        format!("{} (10).png", "n".repeat(246))
    );
}

/// Names in which everything that matters is frequent.
fn hostile_name() -> impl Strategy<Value = String> {
    let parts = [
        ".", "..", "/", "\\", "-", " ", "\t", "\u{3000}", "\u{85}", "CON", "nul", "com1", "LPT³",
        ":", "\u{202e}", "\x1b", "图", "é", "x", ".tar.gz",
    ];
    let part = prop_oneof![
        4 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => (prop::sample::select(vec![" ", ".", "n", "图"]), 70..300usize)
            .prop_map(|(part, count)| part.repeat(count)),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= FILE_NAME_BYTES_MAX
        && !matches!(name, "." | "..")
        && !name.contains(['/', '\\', '\0'])
        && switchboard_wire::clean(name) == name
        && !name.contains('\t')
        && !name.starts_with('-')
        && name.trim() == name
        && !name.ends_with('.')
}

proptest! {
    #[test]
    fn a_reduced_name_is_safe_and_reducing_it_changes_nothing(
        raw in hostile_name(),
        n in any::<u32>(),
    ) {
        let Ok(name) = FileName::reduce(&raw) else { return Ok(()) };
        prop_assert!(is_safe(name.as_str()), "{:?}", name);
        prop_assert_eq!(FileName::reduce(name.as_str()), Ok(name.clone()));

        let numbered = name.numbered(n);
        let number = format!(" ({n})");
        prop_assert!(is_safe(numbered.as_str()) && numbered.as_str().contains(&number));
        prop_assert_eq!(FileName::reduce(numbered.as_str()), Ok(numbered));
    }
}
