//! Rust text with its comments and literals blanked out, so that rules look at code alone.

/// Where in the text one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

/// The same lines as in `text`, with spaces for all that is comment, string or character.
pub(super) fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut place = Place::Code;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (taken, then) = step(place, rest, out.chars().next_back());
        let taken = taken.max(next.len_utf8());
        let (piece, left) = rest.split_at(taken);
        let character = piece.starts_with('\'') && piece.len() > 1;
        let keep = place == Place::Code && then == Place::Code && !character;
        out.extend(
            piece
                .chars()
                .map(|c| if keep || c == '\n' { c } else { ' ' }),
        );
        place = then;
        rest = left;
    }
    out
}

/// How many bytes belong together here (zero: the next character alone), and what follows them.
fn step(place: Place, rest: &str, before: Option<char>) -> (usize, Place) {
    match place {
        Place::Code => code_step(rest, before),
        Place::LineComment if rest.starts_with('\n') => (0, Place::Code),
        Place::BlockComment { depth } if rest.starts_with("/*") => {
            (2, Place::BlockComment { depth: depth + 1 })
        }
        Place::BlockComment { depth: 1 } if rest.starts_with("*/") => (2, Place::Code),
        Place::BlockComment { depth } if rest.starts_with("*/") => {
            (2, Place::BlockComment { depth: depth - 1 })
        }
        Place::Text if rest.starts_with('\\') => (escape_len(rest), place),
        Place::Text if rest.starts_with('"') => (0, Place::Code),
        Place::RawText { hashes } if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => {
            (1 + hashes, Place::Code)
        }
        _ => (0, place),
    }
}

fn code_step(rest: &str, before: Option<char>) -> (usize, Place) {
    if rest.starts_with("//") {
        return (2, Place::LineComment);
    }
    if rest.starts_with("/*") {
        return (2, Place::BlockComment { depth: 1 });
    }
    if rest.starts_with('"') {
        return (1, Place::Text);
    }
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = rest
        .strip_prefix('r')
        .filter(|_| !in_name || before == Some('b'))
    {
        let hashes = raw.chars().take_while(|c| *c == '#').count();
        if raw.chars().nth(hashes) == Some('"') {
            return (2 + hashes, Place::RawText { hashes });
        }
    }
    (character_len(rest), Place::Code)
}

/// The length of `'a'` or `'\n'` at the start of `rest`; zero for a lifetime or anything else.
fn character_len(rest: &str) -> usize {
    let Some(inner) = rest.strip_prefix('\'') else {
        return 0;
    };
    if inner.starts_with('\\') {
        let skipped = 1 + escape_len(inner);
        let end = rest.get(skipped..).and_then(|tail| tail.find('\''));
        return end.map_or(0, |at| skipped + at + 1);
    }
    let len = inner.chars().next().map_or(0, char::len_utf8);
    let closed = inner.get(len..).is_some_and(|tail| tail.starts_with('\''));
    if closed { len + 2 } else { 0 }
}

/// A backslash and the character behind it.
fn escape_len(rest: &str) -> usize {
    rest.chars().take(2).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests {
    use super::code_only;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let words: Vec<String> = code_only(text)
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(words.join(" "), expected);
        assert_eq!(code_only(text).lines().count(), text.lines().count());
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc /* d /* e */ f */ g\n/// h\n", "a c g");
    }

    #[test]
    fn strings_are_blanked() {
        check("let a = \"b \\\" c\" + d;", "let a = + d;");
        check("f(\"tcp://a\", b)", "f( , b)");
        check("f(r#\"a \" b\"#, br\"c\\\", d)", "f( , b , d)");
        check("f(\"two\nlines\") + g", "f( ) + g");
    }

    #[test]
    fn characters_are_blanked_and_lifetimes_are_not() {
        check("f('\"', a) + '\\'' + b", "f( , a) + + b");
        check(
            "fn f<'a>(b: &'a str) -> &'a str { \"c\" }",
            "fn f<'a>(b: &'a str) -> &'a str { }",
        );
        check("x = '\\u{1b}' + y", "x = + y");
    }
}
