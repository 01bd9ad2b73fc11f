//! Where the configured server is, without ever showing how one gets in.

use url::Url;

use crate::adapters::service::ServiceError;

/// A configured server's address with its credentials. Can't be printed; `place` can.
#[derive(Clone)]
pub(super) struct Address(Url);

impl Address {
    /// Reads `redis://[user:password@]host[:port][/database]`.
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        let refused = |why: &str| Err(ServiceError::Refused(format!("the configured cache URL {why}")));
        let Ok(url) = Url::parse(text) else { return refused("can't be read; it looks like redis://host:6379/0") };
        match url.scheme() {
            "redis" => {}
            "rediss" => {
                return refused("asks for TLS, which is not supported; leave `cache.url` out for private servers");
            }
            _ => return refused("has an unknown scheme; it looks like redis://host:6379/0"),
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return refused("names a database that is no number");
        }
        if url.host_str().is_none_or(str::is_empty) { refused("names no host") } else { Ok(Self(url)) }
    }

    /// Host and port.
    pub fn place(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    /// The host.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(6379)
    }

    /// With the credentials that the configuration gives.
    pub fn url(&self) -> &str {
        self.0.as_str()
    }

    /// The same server and database for another user; letters, digits and `-` only.
    pub(super) fn of_user(&self, user: &str, password: &str) -> String {
        let mut url = self.0.clone();
        // Both fail only for URLs without a host.
        let _ = url.set_username(user);
        let _ = url.set_password(Some(password));
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_credentials_and_a_users_url_has_only_its_own() {
        let address = Address::parse("redis://admin:s3cret@db.example:6380/2").unwrap();
        assert_eq!(address.place(), "db.example:6380");
        assert_eq!(address.of_user("bp-a", "pw"), "redis://bp-a:pw@db.example:6380/2");
        assert_eq!(Address::parse("redis://127.0.0.1").unwrap().place(), "127.0.0.1:6379");
    }

    #[test]
    fn what_is_refused_never_shows_a_password() {
        for text in [
            "rediss://u:s3cret@h",
            "http://u:s3cret@h",
            "redis://u:s3cret@h/x",
            "redis://u:s3cret@",
            "s3cret",
            "redis:///0",
        ] {
            let error = Address::parse(text).err().unwrap().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
