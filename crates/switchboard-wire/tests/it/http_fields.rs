//! What heads and addresses tell one who downloads.

use std::time::Duration;

use switchboard_wire::http::{
    ContentRange, HttpEvent, HttpUrl, ResponseDecoder, ResponseHead, UrlError, Validator,
    download_name, retry_after,
};
use switchboard_wire::limits::{HTTP_VALIDATOR_BYTES_MAX, URL_BYTES_MAX};

/// The head with these fields.
fn head(fields: &[&str]) -> ResponseHead {
    let text = format!("HTTP/1.1 204 OK\r\n{}\r\n\r\n", fields.join("\r\n"));
    match ResponseDecoder::new().push(&mut text.as_bytes()) {
        Ok(Some(HttpEvent::Head(head))) => *head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_is_plain_http() {
    for (text, shown, host, port) in [
        ("http://a/b", "http://a/b", "a", 80),
        ("a:8080", "http://a:8080/", "a", 8080),
        ("HTTP://A.B/../c?d#e", "http://a.b/c?d", "a.b", 80),
        ("http://[::1]:1/", "http://[::1]:1/", "[::1]", 1),
        (
            "http://bücher.example",
            "http://xn--bcher-kva.example/",
            "xn--bcher-kva.example",
            80,
        ),
        ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1", 80),
    ] {
        let url = HttpUrl::parse(text).unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(
            (url.origin().host.as_str(), url.origin().port),
            (host, port)
        );
    }
    assert_eq!(HttpUrl::parse("https://a/"), Err(UrlError::Https));
    assert_eq!(
        HttpUrl::parse("ftp://a/"),
        Err(UrlError::Scheme("ftp".into()))
    );
    assert_eq!(
        HttpUrl::parse("file:///etc/passwd"),
        Err(UrlError::Scheme("file".into()))
    );
    assert_eq!(
        HttpUrl::parse("http://me:secret@a/"),
        Err(UrlError::Credentials)
    );
    for text in ["", "http://", "http://a b/", "http://a:99999/"] {
        assert!(
            matches!(HttpUrl::parse(text), Err(UrlError::Malformed(_))),
            "{text:?}"
        );
    }
    let long = |bytes: usize| format!("http://a/{}", "x".repeat(bytes - 9));
    assert!(HttpUrl::parse(&long(URL_BYTES_MAX - 1)).is_ok());
    assert!(HttpUrl::parse(&long(URL_BYTES_MAX)).is_ok());
    assert_eq!(
        HttpUrl::parse(&long(URL_BYTES_MAX + 1)),
        Err(UrlError::TooLong)
    );
}

#[test]
fn a_redirection_leads_to_plain_http_alone() {
    let url = HttpUrl::parse("http://a:81/b/c?d").unwrap();
    for (reference, shown) in [
        ("e", "http://a:81/b/e"),
        ("/e", "http://a:81/e"),
        ("?e", "http://a:81/b/c?e"),
        ("//f/e", "http://f/e"),
        ("http://f:82", "http://f:82/"),
        ("../../../e", "http://a:81/e"),
    ] {
        assert_eq!(url.join(reference).unwrap().to_string(), shown);
    }
    assert_eq!(url.join("https://a/"), Err(UrlError::Https));
    assert_eq!(
        url.join("file:///etc/passwd"),
        Err(UrlError::Scheme("file".into()))
    );
    assert_eq!(
        url.join("javascript:x"),
        Err(UrlError::Scheme("javascript".into()))
    );
    assert_eq!(url.join("http://me@a/"), Err(UrlError::Credentials));
}

#[test]
fn names_are_harmless_whoever_gives_them() {
    for (path, name) in [
        ("/a/b.png", "b.png"),
        ("/a/", "index.html"),
        ("/", "index.html"),
        ("/%E5%9B%BE%20%E7%89%87.png", "图 片.png"),
        ("/x%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("/..%5C..%5Cboot.ini", "boot.ini"),
        ("/%2e%2e%2f", "download"),
        ("/.bashrc", "_.bashrc"),
        ("/-rf", "_-rf"),
        ("/NUL.txt", "_NUL.txt"),
        ("/a%00b", "download"),
        ("/a%1b%5b2Jb", "a_[2Jb"),
        ("/%ff", "\u{fffd}"),
    ] {
        let url = HttpUrl::parse(&format!("http://a{path}")).unwrap();
        assert_eq!(download_name(&url, None).as_str(), name, "{path}");
    }
}

#[test]
fn the_server_may_name_a_file_harmlessly() {
    let url = HttpUrl::parse("http://a/get?id=1").unwrap();
    for (value, name) in [
        ("attachment; filename=\"a b.txt\"", "a b.txt"),
        ("attachment; FileName=a.txt; size=3", "a.txt"),
        ("inline; filename=\"a\\\"b;c.txt\"; x=y", "a\"b;c.txt"),
        (
            "attachment; filename=\"old.txt\"; filename*=UTF-8'en'na%C3%AFve.txt",
            "naïve.txt",
        ),
        ("attachment; filename*=iso-8859-1''caf%E9.txt", "café.txt"),
        ("attachment; filename*=utf-8''%ff; filename=b.txt", "b.txt"),
        (
            "attachment; filename=\"../../.ssh/authorized_keys\"",
            "authorized_keys",
        ),
        ("attachment; filename=.profile", "_.profile"),
        ("attachment; filename*=UTF-8''..%2F..%2F.ssh", "_.ssh"),
        ("attachment; filename=\"..\"", "get"),
        ("attachment; filename=\"\"", "get"),
        ("attachment", "get"),
        ("attachment; filename", "get"),
        ("attachment; filename=\"unclosed", "unclosed"),
    ] {
        let head = head(&[&format!("Content-Disposition: {value}")]);
        assert_eq!(download_name(&url, Some(&head)).as_str(), name, "{value}");
    }
    let long = format!("Content-Disposition: a; filename={}.png", "x".repeat(400));
    let name = download_name(&url, Some(&head(&[&long])));
    assert!(name.as_str().len() == 255 && name.as_str().ends_with(".png"));
}

#[test]
fn only_what_proves_that_bytes_are_the_same_is_a_validator() {
    let of = |fields: &[&str]| Validator::of(&head(fields)).map(|it| it.text().to_owned());
    let date = "Date: Sat, 21 Nov 2026 10:00:01 GMT";
    let at = |second: u32| format!("Last-Modified: Sat, 21 Nov 2026 10:00:{second:02} GMT");
    assert_eq!(of(&["ETag: \"a\""]), Some("\"a\"".into()));
    assert_eq!(
        of(&["ETag: W/\"a\"", date, &at(0)]),
        None,
        "weak, whatever else there is"
    );
    assert_eq!(of(&["ETag: a"]), None);
    assert_eq!(of(&["ETag: \"a\"b\""]), None);
    assert_eq!(
        of(&[date, &at(0)]),
        Some("Sat, 21 Nov 2026 10:00:00 GMT".into())
    );
    assert_eq!(
        of(&[date, &at(1)]),
        None,
        "it may be changed within that second"
    );
    assert_eq!(of(&[&at(0)]), None);
    assert_eq!(of(&[date, "Last-Modified: yesterday"]), None);
    let long = |bytes: usize| of(&[&format!("ETag: \"{}\"", "x".repeat(bytes - 2))]).is_some();
    assert!(long(HTTP_VALIDATOR_BYTES_MAX - 1) && long(HTTP_VALIDATOR_BYTES_MAX));
    assert!(!long(HTTP_VALIDATOR_BYTES_MAX + 1));
    let tag = Validator::tag("\"a\"").unwrap();
    assert!(tag.matches(&head(&["ETag: \"a\""])));
    assert!(!tag.matches(&head(&["ETag: \"b\""])) && !tag.matches(&head(&["A: b"])));
    assert!(Validator::modified("x\r\ny").is_none());
}

#[test]
fn a_range_is_read_as_far_as_it_can_be() {
    let of = |range: &str| {
        ContentRange::of(&head(&[&format!("Content-Range: {range}")]))
            .map(|it| (it.first, it.last, it.complete))
    };
    assert_eq!(of("bytes 2-4/10"), Some((2, 4, Some(10))));
    assert_eq!(of("Bytes 0-0/*"), Some((0, 0, None)));
    for odd in [
        "bytes */10",
        "bytes 4-2/10",
        "bytes 2-10/10",
        "lines 2-4/10",
        "bytes 2-4",
        "2-4/10",
        "bytes -4/10",
        "bytes +2-4/10",
        "",
    ] {
        assert_eq!(of(odd), None, "{odd}");
    }
}

#[test]
fn a_server_says_how_long_to_wait_in_seconds_or_as_a_moment() {
    let date = "Date: Sat, 21 Nov 2026 10:00:01 GMT";
    let of = |told: &str| retry_after(&head(&[date, &format!("Retry-After: {told}")]));
    assert_eq!(of("120"), Some(Duration::from_secs(120)));
    assert_eq!(of("0"), Some(Duration::ZERO));
    assert_eq!(
        of("Sat, 21 Nov 2026 10:01:01 GMT"),
        Some(Duration::from_secs(60))
    );
    assert_eq!(of("Sat, 21 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(
        of("99999999999999999999"),
        Some(Duration::from_secs(u64::MAX))
    );
    assert_eq!(of("soon"), None);
    assert_eq!(of("-1"), None);
    assert_eq!(
        retry_after(&head(&["Retry-After: Sat, 21 Nov 2026 10:01:01 GMT"])),
        None
    );
}
