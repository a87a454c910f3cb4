//! Values that must not be shown: whatever prints or serializes them writes `<secret>`.

use serde::{Serialize, Serializer};
use std::fmt;

const HIDDEN: &str = "<secret>";

/// A password, token or signing key. Debug, Display and Serialize give `<secret>`; only
/// [`Secret::expose`] gives the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for the connection that needs it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// A setting that may be a secret, such as a librdkafka property.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretOrPlain {
    Plain(String),
    Secret(Secret),
}

impl SecretOrPlain {
    /// The value itself, secret or not.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for SecretOrPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => fmt::Debug::fmt(value, f),
            Self::Secret(secret) => fmt::Debug::fmt(secret, f),
        }
    }
}

impl fmt::Display for SecretOrPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => f.write_str(value),
            Self::Secret(secret) => fmt::Display::fmt(secret, f),
        }
    }
}

impl Serialize for SecretOrPlain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An http or https URL. User, password, path and query may hold a token (webhooks of chat
/// services do), so what is shown is the scheme, the host and the port.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    url: Secret,
    shown: String,
}

impl SecretUrl {
    /// The URL itself: for the request, never for a message.
    pub fn expose(&self) -> &str {
        self.url.expose()
    }
}

impl std::str::FromStr for SecretUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; write for example https://ci.example.com/retrain");
        let url = reqwest::Url::parse(text)
            .map_err(|error| wrong(&format!("this is not a URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(&format!("the URL's scheme is `{}`, not http(s)", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| wrong("the URL has no host"))?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}://{host}{port}/...", url.scheme());
        Ok(Self { url: Secret::new(text), shown })
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
