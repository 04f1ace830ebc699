//! `--help` and `--version` on everything.

use crate::support::run;

const COMMANDS: [&str; 15] = [
    "serve", "listen", "connect", "chat", "send", "tail", "time", "talk", "history", "search",
    "verify", "export", "import", "bench", "get",
];

#[test]
fn every_command_has_help_with_examples() {
    for command in COMMANDS {
        let told = run(&[command, "--help"]).succeeded();
        let text = told.text();
        assert!(
            text.to_lowercase().contains("examples:"),
            "{command}: {text}"
        );
        assert!(
            text.contains(&format!("switchboard {command} ")),
            "{command}: {text}"
        );
        assert!(!text.contains('\u{1b}'), "colour in a pipe: {text}");
        assert_eq!(told.err, "");
    }
}

#[test]
fn the_binary_itself_lists_its_commands() {
    let text = run(&["--help"]).succeeded().text();
    assert!(text.to_lowercase().contains("examples:"), "{text}");
    for command in COMMANDS {
        assert!(text.contains(command), "no {command} in: {text}");
    }
    assert!(run(&["--version"]).succeeded().text().contains("0.1"));
}

#[test]
fn help_names_the_defaults_of_the_doors() {
    let text = run(&["serve", "--help"]).succeeded().text();
    for flag in ["--data", "--chat", "--parcels", "--time", "--unix"] {
        assert!(text.contains(flag), "no {flag} in: {text}");
    }
    for port in ["8000", "8001", "9000", "switchboard-data"] {
        assert!(text.contains(port), "no {port} in: {text}");
    }
    for flag in [
        "--connections",
        "--connections-per-address",
        "--chat-idle",
        "--parcel-idle",
        "--frame-time",
        "--max-line",
        "--max-message",
        "--max-file",
        "--outbox",
    ] {
        assert!(text.contains(flag), "no {flag} in: {text}");
    }
}

#[test]
fn a_mistake_is_an_error_and_not_an_end() {
    for arguments in [
        &["dance"][..],
        &["serve", "--dance"],
        &["listen"],
        &["connect"],
        &[],
    ] {
        let told = run(arguments);
        assert!(
            !told.status.success() && !told.err.is_empty(),
            "{arguments:?}: {}",
            told.err
        );
    }
}
