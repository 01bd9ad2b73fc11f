//! Where a server is: a host, by its name or number, and a port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Such as `registry.example:443`, `10.0.0.7:5432` or `[::1]:6379`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// A port of this machine's loopback.
    pub fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// Of its parts; `None` where the host is neither a name nor a number.
    pub fn of(host: &str, port: u16) -> Option<Self> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = host.to_ascii_lowercase();
        (port > 0 && (host.parse::<IpAddr>().is_ok() || is_name(&host))).then_some(Self { host, port })
    }

    /// The host: a name in lower case, or a number without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host, where it is a number.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Whether this is a host's name: letters, digits, `-` and `_` between dots, and not only digits at its end.
fn is_name(host: &str) -> bool {
    let parts: Vec<&str> = host.split('.').collect();
    let plain = |part: &&str| {
        let letters = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        letters && (1..=63).contains(&part.len()) && !part.starts_with('-') && !part.ends_with('-')
    };
    let number = parts.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && parts.iter().all(plain) && !number
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.starts_with('['));
        let read = parts.and_then(|(host, port)| Self::of(host, port.parse().ok()?));
        read.ok_or_else(|| {
            let why = if text.contains("://") {
                "has a scheme"
            } else if text.contains('/') {
                "has a path"
            } else if text.contains('*') {
                "has a wildcard"
            } else if parts.is_none() {
                "has no port"
            } else {
                "is not a host and a port"
            };
            format!("`{text}` {why}: write HOST:PORT, such as `packages.example:443`")
        })
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_a_name_or_a_number_and_a_port() {
        for (text, host, shown) in [
            ("Packages.Example:443", "packages.example", "packages.example:443"),
            ("localhost:80", "localhost", "localhost:80"),
            ("my_db-1:5432", "my_db-1", "my_db-1:5432"),
            ("10.0.0.7:5432", "10.0.0.7", "10.0.0.7:5432"),
            ("[::1]:6379", "::1", "[::1]:6379"),
        ] {
            let read: Address = text.parse().unwrap();
            assert_eq!((read.host(), read.to_string().as_str()), (host, shown));
            assert_eq!(read.ip().is_some(), host != "packages.example" && host != "localhost" && host != "my_db-1");
        }
    }

    #[test]
    fn what_is_not_one_is_refused_with_what_is_wrong_with_it() {
        for (text, why) in [
            ("https://packages.example:443", "scheme"),
            ("packages.example/simple:443", "path"),
            ("*.example:443", "wildcard"),
            ("packages.example", "no port"),
            ("::1:80", "no port"),
            ("packages.example:0", "not a host"),
            ("packages.example:65536", "not a host"),
            ("300.1.1.1:80", "not a host"),
            (":80", "not a host"),
            ("-a.example:80", "not a host"),
            ("a b:80", "not a host"),
        ] {
            assert!(text.parse::<Address>().unwrap_err().contains(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(text in "\\PC{0,30}", port in any::<u16>()) {
            if let Some(address) = Address::of(&text, port) {
                prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }
    }
}
