//! Addresses of what can be downloaded.

use core::fmt;

use url::Url;

use crate::limits::URL_BYTES_MAX;

/// The address of something that is had by plain HTTP.
///
/// ```
/// use switchboard_wire::http::HttpUrl;
///
/// let url = HttpUrl::parse("http://hub.example:8080/a/b.png?size=2")?;
/// assert_eq!(url.target(), "/a/b.png?size=2");
/// assert_eq!(url.join("../c.png")?.to_string(), "http://hub.example:8080/c.png");
/// assert_eq!(HttpUrl::parse("hub.example/a")?.to_string(), "http://hub.example/a");
/// # Ok::<(), switchboard_wire::http::UrlError>(())
/// ```
///
/// # References
/// WHATWG URL; RFC 9110 §4.2.1.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HttpUrl(Url);

/// Whom to connect to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HttpOrigin {
    /// The host's name or address, an IPv6 address in brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why an address cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It has a user's name or password in it.
    #[error("names and passwords in addresses are not spoken yet")]
    Credentials,
    /// It is encrypted.
    #[error("https is not spoken yet, only http://")]
    Https,
    /// It is no address.
    #[error("that is no address: {0}")]
    Malformed(url::ParseError),
    /// It belongs to another protocol.
    #[error("{0}:// is not spoken, only http://")]
    Scheme(String),
    /// It is longer than [`URL_BYTES_MAX`].
    #[error("an address has at most {URL_BYTES_MAX} bytes")]
    TooLong,
}

impl HttpUrl {
    /// Reads an address; one without a scheme is `http://`.
    ///
    /// # Errors
    /// [`UrlError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let text = text.trim();
        let url = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("http://{text}"))
        };
        Self::check(url)
    }

    /// Where a reference of a response to this address leads, as `Location` has it.
    ///
    /// # Errors
    /// [`UrlError`]: a redirection never leads to another protocol.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        if reference.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        Self::check(self.0.join(reference))
    }

    fn check(url: Result<Url, url::ParseError>) -> Result<Self, UrlError> {
        let mut url = url.map_err(UrlError::Malformed)?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(UrlError::Https),
            other => return Err(UrlError::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if !url.has_host() {
            return Err(UrlError::Malformed(url::ParseError::EmptyHost));
        }
        url.set_fragment(None);
        // Escapes can make it three times as long.
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        Ok(Self(url))
    }

    /// Whom to connect to.
    #[must_use]
    pub fn origin(&self) -> HttpOrigin {
        HttpOrigin {
            host: self.0.host_str().unwrap_or_default().to_owned(),
            port: self.0.port_or_known_default().unwrap_or(80),
        }
    }

    /// What stands in `Host`: the port only where it is not 80.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The path, escaped.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// What stands behind `GET`: the path and the query.
    #[must_use]
    pub fn target(&self) -> String {
        match self.0.query() {
            Some(query) => format!("{}?{query}", self.0.path()),
            None => self.0.path().to_owned(),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
