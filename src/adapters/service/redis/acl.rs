//! A configured server that contenders share: a user each, bound to a key prefix.

use async_trait::async_trait;
use redis::cmd;

use super::address::Address;
use super::link::Link;
use super::rules::{OLDEST, Share, version};
use super::{ENGINE, SCHEMES, password};
use crate::adapters::process::nonce;
use crate::adapters::service::{
    Choice, Ground, Isolation, LeaseName, Offer, Ready, Service, ServiceError, ServiceResource, Way, place,
};
use crate::domain::service::Use;

/// Its name in resources.
const KIND: &str = "acl";
/// Keys looked at in one step of a removal; a step blocks the server for well under a millisecond.
const STEP: u32 = 1000;

/// Its line in the table.
pub(crate) const WAY: Way = Way {
    used_as: Use::Cache,
    engine: ENGINE,
    schemes: SCHEMES,
    isolation: Isolation::Acl,
    kind: KIND,
    words: &[],
    open: |ground| Box::pin(open(ground)),
};

/// Users of one server.
struct Acl {
    address: Address,
    version: (u32, u32),
    why: String,
}

async fn open(ground: Ground) -> Result<Offer, ServiceError> {
    let Some(url) = &ground.settings.url else {
        let why = "no `cache.url` names a server to share".to_owned();
        let error = match &ground.sought {
            None => "`isolation: acl` shares a server: name it in `cache.url`".to_owned(),
            Some(sought) => {
                let lacking = sought.lacking.join(", and ");
                format!("{lacking}, and no `cache.url`; install it, or name a server to share")
            }
        };
        return Ok(Offer::Lacking { why, error: ServiceError::Refused(error) });
    };
    Ok(Offer::had(Acl::connected(Address::parse(url)?, ground.because(None)).await?))
}

impl Acl {
    /// Connects, and finds out whether users can be made here.
    async fn connected(address: Address, why: String) -> Result<Self, ServiceError> {
        let place = address.place();
        let mut link = Link::open(address.url(), &place).await?;
        let about: String = link.ask(cmd("INFO").arg("server"), &format!("asking {place} for its version")).await?;
        let found = about.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
        let Some(version) = version(found).filter(|version| *version >= OLDEST) else {
            return Err(ServiceError::Refused(format!(
                "the Redis server at {place} is version {}; users bound to a prefix need {}.{}",
                found.trim(),
                OLDEST.0,
                OLDEST.1
            )));
        };
        // A dry run of the right that is needed: it changes nobody.
        link.ask::<Vec<String>>(cmd("ACL").arg("USERS"), "").await.map_err(|_| {
            ServiceError::Refused(format!(
                "the configured user of the Redis server at {place} may not manage users (ACL); \
                 configure one that may, or `isolation: server`"
            ))
        })?;
        Ok(Self { address, version, why })
    }

    async fn link(&self) -> Result<Link, ServiceError> {
        Link::open(self.address.url(), &self.address.place()).await
    }

    /// The share that a resource of this server stands for; refused where it is not one.
    fn share(&self, resource: &ServiceResource) -> Result<Share, ServiceError> {
        let ServiceResource { kind, place, name, .. } = resource;
        if kind != KIND || *place != self.address.place() {
            return Err(ServiceError::Refused(format!(
                "the cache `{name}` was made as `{kind}` at {place}, and the configuration now means `{KIND}` at {}; \
                 restore the configuration it was made with",
                self.address.place()
            )));
        }
        Share::parse(name).ok_or_else(|| ServiceError::Refused(format!("`{name}` is no cache that was made here")))
    }
}

#[async_trait]
impl Service for Acl {
    fn choice(&self) -> Choice {
        Choice { used_as: Use::Cache, level: "redis user".to_owned(), why: self.why.clone() }
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    fn intend(&self, lease: &LeaseName) -> ServiceResource {
        let nonce = nonce();
        let name = Share::new(&lease.run, &lease.contender, &nonce).name().to_owned();
        ServiceResource { kind: KIND.to_owned(), place: self.address.place(), name, role: None, nonce, oid: None }
    }

    async fn create(&self, resource: &ServiceResource) -> Result<Ready, ServiceError> {
        let share = self.share(resource)?;
        let (user, password) = (share.user(), place::password()?);
        let mut set = cmd("ACL");
        set.arg("SETUSER").arg(&user).arg(share.rules(&password::digest(&password), self.version));
        self.link().await?.ask::<()>(&set, &format!("making the user {user} at {}", resource.place)).await?;
        let url = self.address.of_user(&user, &password);
        let mut own = Link::open(&url, &resource.place).await?;
        own.ask::<()>(&cmd("PING"), &format!("greeting {} as {user}", resource.place)).await?;
        let env = [("REDIS_URL".to_owned(), url), ("BLUEPRINT_CACHE_PREFIX".to_owned(), share.prefix())].into();
        Ok(Ready::new(resource.clone(), env).at(self.address.host(), self.address.port()))
    }

    async fn remove(&self, resource: &ServiceResource) -> Result<(), ServiceError> {
        let share = self.share(resource)?;
        let (user, prefix, place) = (share.user(), share.prefix(), &resource.place);
        let mut link = self.link().await?;
        // The user first: it and its connections can then write nothing more.
        link.ask::<()>(cmd("ACL").arg("DELUSER").arg(&user), &format!("removing the user {user} at {place}")).await?;
        let what = format!("removing the keys {prefix}* at {place}");
        let spaces: String = link.ask(cmd("INFO").arg("keyspace"), &what).await?;
        for database in databases(&spaces) {
            link.ask::<()>(cmd("SELECT").arg(database), &what).await?;
            remove_keys(&mut link, &prefix, &what).await?;
        }
        Ok(())
    }
}

/// Removes every key with this prefix from the database that is selected.
async fn remove_keys(link: &mut Link, prefix: &str, what: &str) -> Result<(), ServiceError> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(STEP);
        let (next, mut keys): (u64, Vec<Vec<u8>>) = link.ask(&scan, what).await?;
        keys.retain(|key| key.starts_with(prefix.as_bytes()));
        if !keys.is_empty() {
            link.ask::<()>(cmd("UNLINK").arg(keys), what).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// The logical databases that hold anything: a user may have changed to any of them.
fn databases(keyspace: &str) -> Vec<u32> {
    let numbers = keyspace.lines().filter_map(|line| line.strip_prefix("db")?.split_once(':')?.0.parse().ok());
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_that_hold_keys_are_read_from_the_servers_account() {
        let account = "# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\ndb12:keys=1,expires=0,avg_ttl=0\r\n";
        assert_eq!(databases(account), [0, 12]);
        assert_eq!(databases("# Keyspace\r\n"), [0; 0]);
    }
}
