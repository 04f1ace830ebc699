//! What lies in a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The names in a folder, sorted. A folder that does not exist has none.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Every path below a folder, except what lies below `besides`. Links are not followed.
#[must_use]
pub fn tree(folder: &Path, besides: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() && entry.path() != besides {
                folders.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}
