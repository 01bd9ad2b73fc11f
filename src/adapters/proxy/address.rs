//! Addresses of providers, as far as they may be shown.

use url::Url;

/// An address as it may be shown: without a name, a password or a query.
pub(super) fn shown(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "an address that is none".to_owned() };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_is_secret_in_it() {
        assert_eq!(shown("http://user:sk-password@127.0.0.1:11434/v1/?a=b"), "http://127.0.0.1:11434/v1");
        assert_eq!(shown("sk-password"), "an address that is none");
    }
}
