//! Which variables the programs of a run get beside their own: what the file sets, and what it passes on.

use std::collections::BTreeMap;

use crate::domain::wire::Provider;

/// Variables of ours that the programs of every run get.
const INHERITED: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TERM", "CARGO_HOME", "RUSTUP_HOME", "PYENV_ROOT"];

/// Where the way into the network leads through a proxy, or its certificates are signed by somebody else,
/// nothing can be installed or tested without these.
const NETWORK: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "npm_config_cafile",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY",
    "DENO_CERT",
];

/// Where a lease's own programs listen; no proxy leads there.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// Names that every lease has a value of its own for.
const LEASED: &[&str] = &["DATABASE_URL", "REDIS_URL", "PORT", "TMPDIR", "CRITERION_HOME"];

/// Beginnings of such names.
const LEASED_PREFIXES: &[&str] = &["BLUEPRINT_", "PG"];

/// What the file says of variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    set: BTreeMap<String, String>,
    passed: Vec<String>,
}

/// What becomes of the variables of a run, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Set by the file.
    pub set: Vec<String>,
    /// Passed on, because the file names them or they belong to proxies and certificates.
    pub passed: Vec<String>,
    /// Named by the file, and not set here.
    pub missing: Vec<String>,
}

impl Variables {
    /// Reads `env` and `pass_env`; `keys` are the names of variables that hold keys of models.
    pub(super) fn read(set: BTreeMap<String, String>, passed: Vec<String>, keys: &[String]) -> Result<Self, String> {
        let all = set.keys().map(|name| ("env", name)).chain(passed.iter().map(|name| ("pass_env", name)));
        for (key, name) in all {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(format!("`{key}`: `{name}` can't be a variable's name"));
            }
            if LEASED.contains(&name.as_str()) || LEASED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                return Err(format!(
                    "`{key}`: every contender has a `{name}` of its own, which can't be set; give yours another name"
                ));
            }
            let provider = Provider::ALL.into_iter().any(|provider| provider.key_variable() == name);
            if provider || keys.contains(name) {
                return Err(format!(
                    "`{key}`: `{name}` holds a key to models, which agents and judged code must not have; agents reach \
                     their models through the proxy of the run"
                ));
            }
        }
        if let Some((name, _)) = set.iter().find(|(_, value)| value.contains('\0')) {
            return Err(format!("`env.{name}` holds a NUL character"));
        }
        if let Some(both) = passed.iter().find(|name| set.contains_key(*name)) {
            return Err(format!("`{both}` is in `env` and in `pass_env`; one of them is meant"));
        }
        Ok(Self { set, passed })
    }

    /// The part of this environment that the programs of a run get, with what the file sets.
    pub fn of(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let wanted = |name: &str| {
            INHERITED.contains(&name)
                || name.starts_with("LC_")
                || NETWORK.contains(&name)
                || self.passed.iter().any(|passed| passed == name)
        };
        let inherited = own.iter().filter(|(name, _)| wanted(name));
        let mut all: BTreeMap<_, _> =
            inherited.chain(&self.set).map(|(name, value)| (name.clone(), value.clone())).collect();
        let proxied = |(name, value): (&String, &String)| {
            let lower = name.to_ascii_lowercase();
            lower.ends_with("_proxy") && lower != "no_proxy" && !value.is_empty()
        };
        if all.iter().any(proxied) {
            let known = all.get("no_proxy").or_else(|| all.get("NO_PROXY")).cloned().unwrap_or_default();
            let mut hosts: Vec<&str> = known.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
            hosts.extend(LOOPBACK.iter().filter(|host| !known.split(',').any(|one| one.trim() == **host)));
            let hosts = hosts.join(",");
            all.insert("NO_PROXY".to_owned(), hosts.clone());
            all.insert("no_proxy".to_owned(), hosts);
        }
        all
    }

    /// The same by name, without what every run gets.
    pub fn names(&self, own: &BTreeMap<String, String>) -> Passed {
        let network = NETWORK.iter().map(|name| (*name).to_owned());
        let (passed, missing): (Vec<_>, Vec<_>) = self.passed.iter().cloned().partition(|name| own.contains_key(name));
        let network =
            network.filter(|name| own.contains_key(name) && !passed.contains(name) && !self.set.contains_key(name));
        let passed = passed.iter().cloned().chain(network).collect();
        Passed { set: self.set.keys().cloned().collect(), passed, missing }
    }

    /// What a program of a run must not show of its environment: values that the file passes on and whose names say that
    /// they are secret, and passwords in URLs (a proxy's), as they are and as they are spelled there.
    pub fn secrets(&self, own: &BTreeMap<String, String>) -> Vec<String> {
        let secret = |name: &str| {
            let upper = name.to_ascii_uppercase();
            ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"].iter().any(|word| upper.contains(word))
        };
        let named = self.passed.iter().filter_map(|name| own.get_key_value(name));
        let by_name = named.chain(&self.set).filter(|(name, _)| secret(name)).map(|(_, value)| value.clone());
        let urls = self.of(own).into_values().filter_map(|value| url::Url::parse(&value).ok());
        let passwords = urls.filter_map(|url| url.password().map(str::to_owned)).flat_map(|spelled| {
            let plain = percent_encoding::percent_decode_str(&spelled).decode_utf8_lossy().into_owned();
            [plain, spelled]
        });
        by_name.chain(passwords).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(set: &[(&str, &str)], passed: &[&str]) -> Result<Variables, String> {
        Variables::read(map(set), passed.iter().map(|name| (*name).to_owned()).collect(), &["OUR_KEY".to_owned()])
    }

    #[test]
    fn proxies_and_certificates_pass_and_nothing_else_that_is_not_named() {
        let own = map(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("https_proxy", "http://proxy:3128"),
            ("SSL_CERT_FILE", "/ca.pem"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("MINE", "m"),
        ]);
        let variables = read(&[("MODE", "test")], &["MINE", "ABSENT"]).unwrap();
        let all = variables.of(&own);
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        let expected = ["LC_ALL", "MINE", "MODE", "NO_PROXY", "PATH", "SSL_CERT_FILE", "https_proxy", "no_proxy"];
        assert_eq!(names, expected);
        assert_eq!(all["NO_PROXY"], "localhost,127.0.0.1,::1");
        let names = variables.names(&own);
        assert_eq!(names.set, ["MODE"]);
        assert_eq!(names.passed, ["MINE", "https_proxy", "SSL_CERT_FILE"]);
        assert_eq!(names.missing, ["ABSENT"]);
    }

    #[test]
    fn what_is_secret_is_known_by_its_name_or_by_its_place_in_a_url() {
        let own = map(&[
            ("HTTPS_PROXY", "http://me:p%40ss-word-1@proxy:3128"),
            ("MY_TOKEN", "token-0123"),
            ("OTHER_TOKEN", "token-4567"),
            ("PLAIN", "nothing"),
        ]);
        let variables = read(&[("A_PASSWORD", "set-here")], &["MY_TOKEN", "PLAIN"]).unwrap();
        let mut known = variables.secrets(&own);
        known.sort();
        known.dedup();
        assert_eq!(known, ["p%40ss-word-1", "p@ss-word-1", "set-here", "token-0123"]);
    }

    #[test]
    fn loopback_is_never_reached_through_a_proxy() {
        let of = |own: &[(&str, &str)]| Variables::default().of(&map(own));
        assert!(!of(&[("no_proxy", "x")]).contains_key("NO_PROXY"), "without a proxy nothing is added");
        let all = of(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", "intra, 127.0.0.1")]);
        assert_eq!(
            (all["NO_PROXY"].as_str(), all["no_proxy"].as_str()),
            ("intra,127.0.0.1,localhost,::1", "intra,127.0.0.1,localhost,::1")
        );
    }

    #[test]
    fn names_of_a_lease_and_keys_to_models_are_refused() {
        for (name, word) in [
            ("BLUEPRINT_RUN", "of its own"),
            ("DATABASE_URL", "of its own"),
            ("PGHOST", "of its own"),
            ("PORT", "of its own"),
            ("OUR_KEY", "holds a key"),
            ("OPENAI_API_KEY", "holds a key"),
            ("A-B", "variable's name"),
            ("1A", "variable's name"),
            ("", "variable's name"),
        ] {
            for refused in [read(&[(name, "x")], &[]), read(&[], &[name])] {
                assert!(refused.as_ref().unwrap_err().contains(word), "{name}: {refused:?}");
            }
        }
        assert!(read(&[("A", "x")], &["A"]).unwrap_err().contains("in `env` and in `pass_env`"));
    }

    #[test]
    fn what_is_called_a_secret_is_known_as_one() {
        let variables = read(&[("API_TOKEN", "t"), ("MODE", "m")], &["MY_PASSWORD", "OTHER"]).unwrap();
        let own = map(&[("MY_PASSWORD", "p"), ("OTHER", "o")]);
        assert_eq!(variables.secrets(&own), ["p", "t"]);
    }
}
