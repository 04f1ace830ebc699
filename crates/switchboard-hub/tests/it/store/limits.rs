//! How often another name is tried for a file.

use std::fs;

use switchboard_hub::store::{NAME_TRIES_MAX, StoreError};

use super::{Desk, temp};

#[test]
fn so_many_names_are_tried_for_a_file_and_no_more() {
    let data = temp();
    let desk = Desk::open(data.path());
    // The first has no number, and the last but one is free.
    fs::write(data.path().join("files/a"), "").unwrap();
    for number in 2..NAME_TRIES_MAX - 1 {
        fs::write(data.path().join(format!("files/a ({number})")), "").unwrap();
    }
    for (id, number) in [(1, NAME_TRIES_MAX - 1), (2, NAME_TRIES_MAX)] {
        let content = vec![7; usize::try_from(id).unwrap()];
        assert_eq!(desk.store(id, "a", &content).0, format!("a ({number})"));
    }
    desk.send(3, "a", b"one more");
    let error = desk.error(3);
    assert!(
        matches!(error, StoreError::NoFreeName { tries, .. } if tries == NAME_TRIES_MAX),
        "{error:?}"
    );
    assert_eq!(desk.store(4, "b", b"another").0, "b");
}
