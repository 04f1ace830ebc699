//! Responses: where they end, what is cut, and what is none.

use proptest::prelude::*;
use switchboard_wire::http::{HttpError, HttpEvent, HttpUrl, ResponseDecoder, get_request};
use switchboard_wire::limits::{
    HTTP_CHUNK_LINE_BYTES_MAX, HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_INTERIM_MAX,
};

use crate::cutting::{cut, cuts};

/// What a stream of bytes means, and then its end.
#[derive(Debug, PartialEq, Eq, Default)]
struct Told {
    status: Option<u16>,
    body: Vec<u8>,
    /// Whether the connection may be used again.
    end: Option<bool>,
    left: Vec<u8>,
    error: Option<HttpError>,
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut decoder = ResponseDecoder::new();
    let mut told = Told::default();
    for mut piece in pieces {
        if told.end.is_some() {
            told.left.extend_from_slice(piece);
            continue;
        }
        loop {
            match decoder.push(&mut piece) {
                Ok(Some(event)) => note(&mut told, event),
                Ok(None) => break,
                Err(error) => {
                    told.error = Some(error);
                    return told;
                }
            }
        }
        told.left.extend_from_slice(piece);
    }
    if told.end.is_none() {
        match decoder.end() {
            Ok(Some(event)) => note(&mut told, event),
            Ok(None) => {}
            Err(error) => told.error = Some(error),
        }
    }
    told
}

fn note(told: &mut Told, event: HttpEvent<'_>) {
    match event {
        HttpEvent::Head(head) => told.status = Some(head.status()),
        HttpEvent::Body(part) => {
            assert!(!part.is_empty());
            told.body.extend_from_slice(part);
        }
        HttpEvent::End { may_reuse } => told.end = Some(may_reuse),
    }
}

#[track_caller]
fn check(response: &str, body: &str, end: Option<bool>) {
    let told = read([response.as_bytes()]);
    assert_eq!(told.error, None, "{response:?}");
    assert_eq!(String::from_utf8_lossy(&told.body), body, "{response:?}");
    assert_eq!(told.end, end, "{response:?}");
}

#[track_caller]
fn refuse(response: &str, error: &HttpError) {
    let told = read([response.as_bytes()]);
    let shown = response.get(..200).unwrap_or(response);
    assert_eq!(told.error.as_ref(), Some(error), "{shown:?}");
    assert_eq!(told.end, None, "{shown:?}");
}

#[test]
fn a_body_ends_by_its_length_its_chunks_or_the_connection() {
    for (response, body, end) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "abc",
            true,
        ),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\nContent-Length: 1\n\na", "a", true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length:1\r\n\r\na",
            "a",
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", "to the end", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", false),
        (
            "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na",
            "a",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: te, Close\r\nContent-Length: 1\r\n\r\na",
            "a",
            false,
        ),
        ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", "", true),
        ("HTTP/1.1 304 No\r\n\r\n", "", true),
        (
            "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            "a",
            true,
        ),
    ] {
        check(response, body, Some(end));
    }
}

#[test]
fn chunks_have_extensions_and_fields_behind_them() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    for (body, text) in [
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("0\r\n\r\n", ""),
        (
            "0003;a=\"b\"\r\nabc\r\nA \r\n0123456789\r\n0;x\r\n\r\n",
            "abc0123456789",
        ),
        ("1\r\na\r\n0\r\nDigest: x\r\nOther: y\r\n\r\n", "a"),
    ] {
        check(&format!("{head}{body}"), text, Some(true));
    }
    for body in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\nab0\r\n\r\n",
        "0x1\r\na\r\n",
        "00000000000000001\r\na\r\n",
        "1;\nx\r\na\r\n",
        "0\r\nA: b\n\r\n",
    ] {
        refuse(&format!("{head}{body}"), &HttpError::Chunk);
    }
}

#[test]
fn whoever_tells_two_lengths_is_not_asked_again() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    check(
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n{chunked}"),
        "a",
        Some(false),
    );
    check(
        &format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n{chunked}"),
        "a",
        Some(false),
    );
    for lengths in ["1, 2", "+1", "-1", "1 1", "", "0x1", "99999999999999999999"] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {lengths}\r\n\r\na");
        refuse(&response, &HttpError::Length);
    }
    for coding in ["gzip", "gzip, chunked", "chunked, chunked", "identity"] {
        let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");
        refuse(&response, &HttpError::TransferEncoding);
    }
}

#[test]
fn every_truncation_of_a_response_is_noticed() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   a\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
    for whole in [sized, chunked] {
        for len in 1..whole.len() {
            let told = read([&whole.as_bytes()[..len]]);
            let is_cut = matches!(told.error, Some(HttpError::Cut { .. }));
            assert!(is_cut, "{:?}: {told:?}", &whole[..len]);
        }
        assert_eq!(read([whole.as_bytes()]).end, Some(true));
        assert_eq!(read([]).error, Some(HttpError::NoAnswer));
    }
    let told = read([&sized.as_bytes()[..sized.len() - 4]]);
    let (received, announced) = (6, Some(10));
    assert_eq!(
        told.error,
        Some(HttpError::Cut {
            received,
            announced
        })
    );
}

#[test]
fn what_is_no_response_is_refused_at_once() {
    for greeting in [
        "SSH-2.0",
        "<html>",
        "HTTP/2 200\r\n\r\n",
        "h",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        refuse(greeting, &HttpError::NotHttp);
    }
    refuse("HTTP/1.1 101 Other\r\n\r\n", &HttpError::Upgrade);
    for head in [
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 200 OK\r\na b: c",
        "HTTP/1.1 200 OK\r\n: c",
    ] {
        let told = read([format!("{head}\r\n\r\n").as_bytes()]);
        assert!(
            matches!(told.error, Some(HttpError::Malformed(_))),
            "{head}: {told:?}"
        );
    }
}

#[test]
fn heads_fields_chunk_lines_and_interim_responses_have_their_limits() {
    let head = |bytes: usize| {
        let begin = "HTTP/1.1 204 OK\r\nA: ";
        format!("{begin}{}\r\n\r\n", "x".repeat(bytes - begin.len() - 4))
    };
    check(&head(HTTP_HEAD_BYTES_MAX - 1), "", Some(true));
    check(&head(HTTP_HEAD_BYTES_MAX), "", Some(true));
    refuse(&head(HTTP_HEAD_BYTES_MAX + 1), &HttpError::HeadTooLong);
    let fields = |count: usize| format!("HTTP/1.1 204 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
    check(&fields(HTTP_FIELDS_MAX - 1), "", Some(true));
    check(&fields(HTTP_FIELDS_MAX), "", Some(true));
    refuse(&fields(HTTP_FIELDS_MAX + 1), &HttpError::TooManyFields);
    let interim = |count: usize| {
        let interim = "HTTP/1.1 102 Wait\r\n\r\n".repeat(count);
        format!("{interim}HTTP/1.1 204 OK\r\n\r\n")
    };
    check(&interim(HTTP_INTERIM_MAX - 1), "", Some(true));
    check(&interim(HTTP_INTERIM_MAX), "", Some(true));
    refuse(&interim(HTTP_INTERIM_MAX + 1), &HttpError::Interim);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = |bytes: usize| format!("{chunked}0;{}\r\n\r\n", "x".repeat(bytes - 2));
    check(&line(HTTP_CHUNK_LINE_BYTES_MAX - 1), "", Some(true));
    check(&line(HTTP_CHUNK_LINE_BYTES_MAX), "", Some(true));
    refuse(&line(HTTP_CHUNK_LINE_BYTES_MAX + 1), &HttpError::Chunk);
    let trailer = format!(
        "{chunked}0\r\nA: {}\r\n\r\n",
        "x".repeat(HTTP_HEAD_BYTES_MAX)
    );
    refuse(&trailer, &HttpError::HeadTooLong);
}

#[test]
fn a_request_is_one_head_that_no_address_can_break_out_of() {
    let url = HttpUrl::parse("http://[::1]:81/a b\r\nX: y?q=ü\r\n#part").unwrap();
    let request = String::from_utf8(get_request(&url, None)).unwrap();
    assert!(request.starts_with("GET /a%20bX:%20y?q=%C3%BC HTTP/1.1\r\nHost: [::1]:81\r\n"));
    assert!(request.ends_with("\r\n\r\n") && request.matches("\r\n\r\n").count() == 1);
}

fn responses() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let body = prop::collection::vec(any::<u8>(), 0..300);
    (body, 0..3, prop::collection::vec(1..40_usize, 0..20)).prop_map(|(body, form, chunks)| {
        let mut response = b"HTTP/1.1 200 OK\r\nServer: x\r\n".to_vec();
        match form {
            0 => {
                let length = format!("Content-Length: {}\r\n\r\n", body.len());
                response.extend_from_slice(length.as_bytes());
                response.extend_from_slice(&body);
            }
            1 => {
                response.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut rest = &body[..];
                for len in chunks.into_iter().chain([usize::MAX]) {
                    let (chunk, after) = rest.split_at(len.min(rest.len()));
                    rest = after;
                    if !chunk.is_empty() {
                        response.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                        response.extend_from_slice(chunk);
                        response.extend_from_slice(b"\r\n");
                    }
                }
                response.extend_from_slice(b"0\r\n\r\n");
            }
            _ => {
                response.extend_from_slice(b"\r\n");
                response.extend_from_slice(&body);
            }
        }
        (response, body)
    })
}

proptest! {
    #[test]
    fn responses_mean_the_same_however_they_are_cut(
        (response, body) in responses(), behind in 0..3_usize, cuts in cuts()
    ) {
        let mut bytes = response.clone();
        bytes.extend_from_slice(&b"xyz"[..behind]);
        let whole = read([&bytes[..]]);
        prop_assert_eq!(&whole, &read(cut(&bytes, &cuts)));
        let until_close = whole.end == Some(false);
        let to_the_end = &bytes[bytes.len() - body.len() - behind..];
        let expected = if until_close { to_the_end } else { &body };
        prop_assert_eq!(&whole.body[..], expected);
        prop_assert_eq!(whole.left.len(), if until_close { 0 } else { behind });
    }

    #[test]
    fn any_bytes_are_a_response_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in cuts(), form in 0..4_usize
    ) {
        let begin = ["", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"][form];
        let bytes = [begin.as_bytes(), &bytes].concat();
        prop_assert_eq!(read([&bytes[..]]), read(cut(&bytes, &cuts)));
    }
}
