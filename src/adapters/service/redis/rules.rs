//! What a contender's user may do on a shared server. Pure.

/// A contender's share of the server: one name from which its user and its prefix follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share(String);

impl Share {
    /// Of a contender in a run; the nonce keeps two runs of the same name apart.
    pub fn new(run: &str, contender: &str, nonce: &str) -> Self {
        Self(format!("bp:{run}:{contender}:{nonce}"))
    }

    /// Out of a journal: only what `new` can have made, so that nothing else is ever removed.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<_> = name.split(':').collect();
        // None of these characters means anything in a pattern.
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let ours = matches!(parts.as_slice(), ["bp", run, contender, nonce]
            if plain(run) && plain(contender) && nonce.len() == 16 && plain(nonce));
        ours.then(|| Self(name.to_owned()))
    }

    /// As the journal holds it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The server's user.
    pub fn user(&self) -> String {
        self.0.replace(':', "-")
    }

    /// What its keys and channels begin with.
    pub fn prefix(&self) -> String {
        format!("{}:", self.0)
    }

    /// The words of `ACL SETUSER` behind the user's name.
    ///
    /// `@dangerous` and `@admin` leave commands that reach beyond keys by name: they are denied by
    /// name. Scripts run with the rights of their caller, so they may stay; their cache is shared,
    /// so it may be filled and not emptied. Functions belong to all users and may not be touched.
    pub fn rules(&self, digest: &str, version: (u32, u32)) -> Vec<String> {
        let prefix = self.prefix();
        let mut rules = vec!["reset".to_owned(), "on".to_owned(), format!("#{digest}")];
        rules.extend([format!("~{prefix}*"), "resetchannels".to_owned(), format!("&{prefix}*")]);
        let commands = [
            "+@all",
            "-@dangerous",
            "-@admin",
            "-scan",
            "-randomkey",
            "-dbsize",
            "-keys",
            "-flushall",
            "-flushdb",
            "-swapdb",
            "-move",
            "-pubsub",
            "-config",
            "-acl",
            "-script",
            "+script|load",
            "+script|exists",
        ];
        rules.extend(commands.map(str::to_owned));
        if version >= (7, 0) {
            rules.push("-function".to_owned());
        }
        rules
    }
}

/// The oldest server whose users can be bound to channels.
pub(crate) const OLDEST: (u32, u32) = (6, 2);

/// Major and minor out of text such as `7.0.15`.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0123456789abcdef";

    #[test]
    fn a_user_is_bound_to_its_prefix_and_denied_what_reaches_beyond() {
        let share = Share::new("20260105-100000-c0de", "a_judge", NONCE);
        assert_eq!(share.user(), "bp-20260105-100000-c0de-a_judge-0123456789abcdef");
        insta::assert_snapshot!(share.rules("d1ge57", (7, 0)).join(" "), @"reset on #d1ge57 ~bp:20260105-100000-c0de:a_judge:0123456789abcdef:* resetchannels &bp:20260105-100000-c0de:a_judge:0123456789abcdef:* +@all -@dangerous -@admin -scan -randomkey -dbsize -keys -flushall -flushdb -swapdb -move -pubsub -config -acl -script +script|load +script|exists -function");
        assert!(!share.rules("d", (6, 2)).contains(&"-function".to_owned()), "6.2 knows no functions");
    }

    #[test]
    fn only_a_name_of_ours_is_read_back() {
        let share = Share::new("r1", "a", NONCE);
        assert_eq!(Share::parse(share.name()), Some(share));
        for name in [
            "",
            "default",
            "bp:",
            "bp:r:a:",
            "bp:r:*:0123456789abcdef",
            "bp:r:a:0123456789abcde?",
            "bp:r:a:b:0123456789abcdef",
            "xx:r:a:0123456789abcdef",
        ] {
            assert_eq!(Share::parse(name), None, "{name}");
        }
    }

    #[test]
    fn versions_are_read_and_anything_else_is_not() {
        assert_eq!(version("7.0.15"), Some((7, 0)));
        assert_eq!(version("6.2"), Some((6, 2)));
        assert_eq!(version("seven"), None);
        assert!((10, 0) > OLDEST && (6, 0) < OLDEST);
    }
}
