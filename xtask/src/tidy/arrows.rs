//! Which crate may use which: the table of ARCHITECTURE.md, checked in each `Cargo.toml`.

/// A crate, and what it may use besides crates from outside; dev-dependencies are no exception.
const ARROWS: &[(&str, &[&str])] = &[
    ("berkeley", &[]),
    ("berkeley-python", &["berkeley"]),
    ("switchboard-reactor", &["berkeley"]),
    ("switchboard-wire", &[]),
    (
        "switchboard-hub",
        &["berkeley", "switchboard-reactor", "switchboard-wire"],
    ),
    (
        "switchboard-client",
        &["berkeley", "switchboard-reactor", "switchboard-wire"],
    ),
    (
        "switchboard-sim",
        &[
            "berkeley",
            "switchboard-hub",
            "switchboard-reactor",
            "switchboard-wire",
        ],
    ),
    ("switchboard-bench", &["berkeley"]),
    (
        "switchboard",
        &[
            "berkeley",
            "switchboard-bench",
            "switchboard-client",
            "switchboard-hub",
            "switchboard-reactor",
            "switchboard-wire",
        ],
    ),
    ("bench-peers", &[]),
    ("testkit", &[]),
    ("xtask", &[]),
];

/// The one crate that may use `testkit`, and only in its tests.
const TESTED: &str = "switchboard";

/// What is wrong with the dependencies of one `Cargo.toml`.
pub(super) fn look_at(path: &str, text: &str) -> Vec<String> {
    let Some(folder) = path.strip_suffix("/Cargo.toml") else {
        return Vec::new();
    };
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let Some((_, allowed)) = ARROWS.iter().find(|(row, _)| *row == name) else {
        return vec![format!(
            "{path}: {name}: has no row in the table of crates (tidy/arrows.rs)"
        )];
    };
    let mut findings = Vec::new();
    for (section, used) in dependencies(text) {
        let ours = ARROWS.iter().any(|(row, _)| *row == used);
        let for_tests = used == "testkit" && name == TESTED && section == "dev-dependencies";
        if ours && !for_tests && !allowed.contains(&used.as_str()) {
            findings.push(format!(
                "{path}: {name} uses {used}: against the order of the layers"
            ));
        }
    }
    findings
}

/// Each dependency with the kind of section it stands in.
fn dependencies(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            let head = head.trim_end_matches(']');
            let (kind, name) = kind_of(head);
            section = kind;
            if let Some(name) = name {
                found.push((section.clone(), name));
            }
        } else if section.ends_with("dependencies")
            && let Some(name) = renamed(line).or_else(|| key(line))
        {
            found.push((section.clone(), name));
        }
    }
    found
}

/// `target.'cfg(unix)'.dependencies.libc` is kind `dependencies`, name `libc`.
fn kind_of(head: &str) -> (String, Option<String>) {
    for kind in ["dev-dependencies", "build-dependencies", "dependencies"] {
        let Some((_, after)) = head.split_once(kind) else {
            continue;
        };
        let name = after
            .strip_prefix('.')
            .map(|name| name.trim_matches('"').to_owned());
        return (kind.to_owned(), name);
    }
    (String::new(), None)
}

/// `sockets = { package = "berkeley" }` is berkeley.
fn renamed(line: &str) -> Option<String> {
    let (_, after) = line.split_once("package")?;
    let value = after
        .trim_start()
        .strip_prefix('=')?
        .trim_start()
        .strip_prefix('"')?;
    value.split('"').next().map(ToOwned::to_owned)
}

fn key(line: &str) -> Option<String> {
    let (key, _) = line.split_once('=')?;
    let name = key.split('.').next()?.trim().trim_matches('"');
    (!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::look_at;

    #[track_caller]
    fn check(name: &str, text: &str, expected: &[&str]) {
        let found = look_at(&format!("crates/{name}/Cargo.toml"), text);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.contains(expected),
                "{found:?} instead of {expected:?}"
            );
        }
    }

    #[test]
    fn the_order_of_the_layers_holds() {
        let uses_berkeley = "[dependencies]\nberkeley.workspace = true\nbytes = \"1\"\n";
        check("switchboard-reactor", uses_berkeley, &[]);
        check(
            "switchboard-wire",
            uses_berkeley,
            &["switchboard-wire uses berkeley"],
        );
        let uses_hub = "[dependencies]\nswitchboard-hub = { path = \"../switchboard-hub\" }\n";
        check("switchboard", uses_hub, &[]);
        check(
            "switchboard-client",
            uses_hub,
            &["switchboard-client uses switchboard-hub"],
        );
    }

    #[test]
    fn tests_are_no_exception() {
        let text = "[dev-dependencies]\nswitchboard-wire.workspace = true\n";
        check("berkeley", text, &["berkeley uses switchboard-wire"]);
    }

    #[test]
    fn testkit_is_for_the_tests_of_the_binary() {
        check(
            "switchboard",
            "[dev-dependencies]\ntestkit.workspace = true\n",
            &[],
        );
        check(
            "switchboard",
            "[dependencies]\ntestkit.workspace = true\n",
            &["uses testkit"],
        );
        check(
            "switchboard-hub",
            "[dev-dependencies]\ntestkit.workspace = true\n",
            &["testkit"],
        );
        check(
            "testkit",
            "[dependencies]\nberkeley.workspace = true\n",
            &["testkit uses berkeley"],
        );
    }

    #[test]
    fn other_ways_to_write_a_dependency_are_seen() {
        let table = "[dependencies.berkeley]\nworkspace = true\n";
        check("switchboard-wire", table, &["uses berkeley"]);
        let target = "[target.'cfg(unix)'.dependencies]\nberkeley = \"0.1\"\n";
        check("switchboard-wire", target, &["uses berkeley"]);
        let renamed = "[dependencies]\nsockets = { package = \"berkeley\", version = \"0.1\" }\n";
        check("switchboard-wire", renamed, &["uses berkeley"]);
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        check("switchboard-web", "[dependencies]\n", &["no row"]);
    }

    #[test]
    fn the_list_of_the_workspace_is_no_arrow() {
        let text = "[workspace.dependencies]\nberkeley = { path = \"crates/berkeley\" }\n";
        assert_eq!(look_at("Cargo.toml", text), Vec::<String>::new());
    }
}
