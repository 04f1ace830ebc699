//! Cleaning text.

use std::borrow::Cow;

use proptest::prelude::*;
use switchboard_wire::clean;

/// Text in which what is removed is frequent.
fn hostile_text() -> impl Strategy<Value = String> {
    let removed = "\0\x07\x08\t\n\r\x1b\x7f\u{80}\u{9b}\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}";
    let removed: Vec<char> = removed.chars().collect();
    let one = prop_oneof![
        any::<char>(),
        prop::sample::select(removed),
        prop::char::range(' ', '~')
    ];
    prop::collection::vec(one, 0..60).prop_map(String::from_iter)
}

#[test]
fn every_control_character_but_the_tab_is_removed_and_no_other() {
    let removed = [
        0x00..=0x08,
        0x0a..=0x1f,
        0x7f..=0x9f,
        0x61c..=0x61c,
        0x200e..=0x200f,
        0x2028..=0x2029,
        0x202a..=0x202e,
        0x2066..=0x2069,
    ];
    for c in '\0'..=char::MAX {
        let is_removed = removed.iter().any(|range| range.contains(&u32::from(c)));
        assert_eq!(clean(&format!("a{c}b")).len() == 2, is_removed, "{c:?}");
    }
}

#[test]
fn text_with_nothing_to_remove_is_not_copied() {
    for text in ["", "plain\ttext ~", "图片 ✓", "👩\u{200d}👩\u{200d}👧"] {
        assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
    }
}

proptest! {
    #[test]
    fn cleaning_only_removes_and_is_done_at_once(text in hostile_text()) {
        let cleaned = clean(&text);
        prop_assert!(cleaned.len() <= text.len());
        prop_assert!(!cleaned.contains(|c: char| c.is_control() && c != '\t'));
        prop_assert!(matches!(clean(&cleaned), Cow::Borrowed(_)));
        // What is left stands in its old order.
        let mut left = text.chars();
        prop_assert!(cleaned.chars().all(|c| left.any(|other| other == c)));
    }
}
