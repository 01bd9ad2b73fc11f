//! The cache port's sentences, on private servers, on users of a shared server, and on the fake.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests end the test, and print figures")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{Command, Environment, Executor, Serving};
use blueprint::adapters::service::fake::FakeService;
use blueprint::adapters::service::{Choice, Isolation, LeaseName, Ready, Service, ServiceSettings, choose};
use blueprint::domain::service::Use;
use redis::Value;

/// A server of the test's own, with a password, to be shared by contenders.
struct Shared {
    port: u16,
    dir: tempfile::TempDir,
    _service: Box<dyn Serving>,
}

impl Shared {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = format!("bind 127.0.0.1\nport {port}\nsave \"\"\nappendonly no\nrequirepass s3cret\n");
        std::fs::write(dir.path().join("redis.conf"), config).unwrap();
        let program = std::env::var("BLUEPRINT_REDIS_BIN").unwrap_or_else(|_| "redis-server".to_owned());
        let mut command = Command::new(program, ["redis.conf"], dir.path());
        command.env.insert("PATH".to_owned(), std::env::var("PATH").unwrap());
        let service = Local.serve(command).await;
        let service = service.unwrap_or_else(|error| panic!("{error}; run ./scripts/test, which brings one"));
        let shared = Self { port, dir, _service: service };
        let started = Instant::now();
        while shared.admin(&["PING"]).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the test's own server does not answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shared
    }

    fn url(&self) -> String {
        format!("redis://:s3cret@127.0.0.1:{}/0", self.port)
    }

    async fn admin(&self, words: &[&str]) -> Result<Value, String> {
        run_at(&self.url(), words).await
    }

    async fn cache(&self) -> Arc<dyn Service> {
        chosen(Some(self.url()), Isolation::Acl, self.dir.path()).await
    }
}

fn lease(run: &str, contender: &str) -> LeaseName {
    LeaseName { run: run.to_owned(), contender: contender.to_owned() }
}

async fn chosen(url: Option<String>, isolation: Isolation, state: &Path) -> Arc<dyn Service> {
    let settings =
        ServiceSettings { used_as: Use::Cache, url, isolation, state: state.to_owned(), ..ServiceSettings::default() };
    choose(settings, Arc::new(Local))
        .await
        .unwrap_or_else(|error| panic!("{error}; run ./scripts/test, which brings one"))
}

/// One command on a connection of its own.
async fn run_at(url: &str, words: &[&str]) -> Result<Value, String> {
    let client = redis::Client::open(url).map_err(|e| e.to_string())?;
    let mut connection = client.get_multiplexed_async_connection().await.map_err(|e| e.to_string())?;
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.map_err(|e| e.to_string())
}

async fn run(ready: &Ready, words: &[&str]) -> Result<Value, String> {
    run_at(&ready.env["REDIS_URL"], words).await
}

/// Whether an error says that the command or the key is not for this user.
fn denies(error: &str) -> bool {
    ["NOPERM", "ermission", "not allowed", "can't access", "can't run"].iter().any(|words| error.contains(words))
}

fn text(value: &str) -> Value {
    Value::BulkString(value.as_bytes().to_vec())
}

fn listening(ready: &Ready) -> bool {
    let port = ready.resource.place.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// An implementation, with what the sentences need to know of it.
enum World<'a> {
    Redis(Arc<dyn Service>),
    Fake(&'a FakeService),
}

impl World<'_> {
    fn cache(&self) -> &dyn Service {
        match self {
            Self::Redis(cache) => &**cache,
            Self::Fake(cache) => *cache,
        }
    }

    /// Runs a command with a contender's environment.
    async fn with(&self, env: &Environment, words: &[&str]) -> Result<Option<String>, String> {
        match self {
            Self::Fake(cache) => cache.run(env, words),
            Self::Redis(_) => match run_at(&env["REDIS_URL"], words).await? {
                Value::BulkString(bytes) => Ok(Some(String::from_utf8(bytes).unwrap())),
                _ => Ok(None),
            },
        }
    }
}

/// What holds of every implementation.
async fn conforms(world: &World<'_>) {
    let cache = world.cache();
    assert!(!cache.choice().level.is_empty());
    cache.remove(&cache.intend(&lease("r1", "never-made"))).await.unwrap();
    let (intended, other) = (cache.intend(&lease("r1", "a")), cache.intend(&lease("r1", "a")));
    assert_ne!(intended.name, other.name, "two leases of one name share nothing");
    let started = Instant::now();
    let a = cache.create(&intended).await.unwrap();
    println!("{}: ready in {:?}", cache.choice().level, started.elapsed());
    let b = cache.create(&other).await.unwrap();
    assert_eq!((&a.resource.name, &a.resource.nonce), (&intended.name, &intended.nonce));
    let key = |ready: &Ready, name: &str| format!("{}{name}", ready.env["BLUEPRINT_CACHE_PREFIX"]);
    let (key_a, key_b) = (key(&a, "k"), key(&b, "k"));
    world.with(&a.env, &["SET", &key_a, "of a"]).await.unwrap();
    world.with(&b.env, &["SET", &key_b, "of b"]).await.unwrap();
    let foreign = world.with(&b.env, &["GET", &key_a]).await;
    assert!(foreign != Ok(Some("of a".to_owned())), "b reads what a wrote");
    drop(world.with(&b.env, &["FLUSHALL"]).await);
    assert_eq!(world.with(&a.env, &["GET", &key_a]).await.unwrap().as_deref(), Some("of a"), "b flushed a's cache");
    cache.remove(&a.resource).await.unwrap();
    world.with(&a.env, &["GET", &key_a]).await.unwrap_err();
    world.with(&b.env, &["SET", &key_b, "still there"]).await.unwrap();
    // What the journal held before it was made removes it as well, and again.
    cache.remove(&other).await.unwrap();
    cache.remove(&other).await.unwrap();
    world.with(&b.env, &["GET", &key_b]).await.unwrap_err();
}

#[tokio::test]
async fn the_fake_conforms() {
    let fake = FakeService::default();
    conforms(&World::Fake(&fake)).await;
    assert_eq!(fake.live(), [""; 0]);
}

#[tokio::test]
async fn private_servers_conform_and_leave_no_directory() {
    let state = tempfile::tempdir().unwrap();
    conforms(&World::Redis(chosen(None, Isolation::Server, state.path()).await)).await;
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn users_of_a_shared_server_conform_and_leave_no_user_and_no_key() {
    let shared = Shared::start().await;
    conforms(&World::Redis(shared.cache().await)).await;
    assert_eq!(shared.admin(&["ACL", "USERS"]).await.unwrap(), Value::Array(vec![text("default")]));
    assert_eq!(shared.admin(&["DBSIZE"]).await.unwrap(), Value::Int(0));
}

// ---- private servers ----

#[tokio::test]
async fn a_private_server_is_preferred_to_a_configured_one_and_says_which_it_is() {
    let state = tempfile::tempdir().unwrap();
    let cache = chosen(Some("redis://127.0.0.1:1".to_owned()), Isolation::Auto, state.path()).await;
    let Choice { level, why, .. } = cache.choice();
    assert_eq!(level, "redis server");
    assert!(why.starts_with("redis-server ") && why.contains(" at /"), "{why}");
}

#[tokio::test]
async fn a_private_servers_password_stands_in_no_argument_and_no_file() {
    let state = tempfile::tempdir().unwrap();
    let cache = chosen(None, Isolation::Server, state.path()).await;
    let ready = cache.create(&cache.intend(&lease("r", "a"))).await.unwrap();
    let url = &ready.env["REDIS_URL"];
    let password = url.split(['@', ':']).nth(2).unwrap().to_owned();
    assert_eq!(password.len(), 64);
    for (path, bytes) in files(state.path()) {
        assert!(!String::from_utf8_lossy(&bytes).contains(&password), "{path}");
    }
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        for part in ["cmdline", "environ"] {
            let bytes = std::fs::read(entry.path().join(part)).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&bytes).contains(&password), "{:?}/{part}", entry.path());
        }
    }
    run_at(&url.replace(&password, "guess"), &["PING"]).await.unwrap_err();
    cache.remove(&ready.resource).await.unwrap();
}

#[tokio::test]
async fn a_private_server_is_small_and_its_process_is_gone_when_it_is_removed() {
    let state = tempfile::tempdir().unwrap();
    let cache = chosen(None, Isolation::Server, state.path()).await;
    let ready = cache.create(&cache.intend(&lease("r", "a"))).await.unwrap();
    let found = processes(&ready.resource.nonce);
    let status = std::fs::read_to_string(format!("/proc/{}/status", found[0])).unwrap();
    // Its own pages; those of the program and its libraries are shared by all servers.
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kilobytes: u32 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    println!("a private server holds {kilobytes} kB");
    assert!(found.len() == 1 && kilobytes < 8_000, "{found:?}, {kilobytes} kB");
    cache.remove(&ready.resource).await.unwrap();
    assert_eq!(processes(&ready.resource.nonce), [""; 0]);
}

/// Processes that carry a resource's mark.
fn processes(nonce: &str) -> Vec<String> {
    let mark = format!("BLUEPRINT_CACHE={nonce}");
    let numbers = std::fs::read_dir("/proc").unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    let marked = |pid: &String| {
        let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        env.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    numbers.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(marked).collect()
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path());
    entries
        .flat_map(|p| if p.is_dir() { files(&p) } else { vec![(p.display().to_string(), std::fs::read(p).unwrap())] })
        .collect()
}

#[tokio::test]
async fn a_contender_can_not_make_its_private_server_write_files_or_speak_to_others() {
    let state = tempfile::tempdir().unwrap();
    let cache = chosen(None, Isolation::Server, state.path()).await;
    let ready = cache.create(&cache.intend(&lease("r", "a"))).await.unwrap();
    let denied: [&[&str]; 7] = [
        &["CONFIG", "SET", "dir", "/tmp"],
        &["SAVE"],
        &["BGREWRITEAOF"],
        &["MODULE", "LOAD", "/tmp/x.so"],
        &["REPLICAOF", "127.0.0.1", "1"],
        &["SHUTDOWN"],
        &["ACL", "SETUSER", "default", "+@all"],
    ];
    for words in denied {
        let error = run(&ready, words).await.unwrap_err();
        assert!(denies(&error), "{words:?}: {error}");
    }
    for words in [&["INFO"][..], &["KEYS", "*"], &["FLUSHALL"], &["SELECT", "3"], &["SCRIPT", "FLUSH"]] {
        run(&ready, words).await.unwrap();
    }
    cache.remove(&ready.resource).await.unwrap();
}

#[tokio::test]
async fn a_server_that_outlived_its_orchestrator_is_found_and_ended() {
    let state = tempfile::tempdir().unwrap();
    let crashed = chosen(None, Isolation::Server, state.path()).await;
    let intended = crashed.intend(&lease("r", "a"));
    let ready = crashed.create(&intended).await.unwrap();
    // What a crash leaves: nobody stops the server, and the journal holds the intent.
    std::mem::forget(crashed);
    assert_eq!((listening(&ready), processes(&ready.resource.nonce).len()), (true, 1));
    let resumed = chosen(None, Isolation::Server, state.path()).await;
    resumed.remove(&intended).await.unwrap();
    let started = Instant::now();
    while listening(&ready) {
        assert!(started.elapsed() < Duration::from_secs(5), "the orphan lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn servers_die_with_who_made_them_and_a_directory_without_a_server_is_removed() {
    let state = tempfile::tempdir().unwrap();
    let cache = chosen(None, Isolation::Server, state.path()).await;
    let ready = cache.create(&cache.intend(&lease("r", "a"))).await.unwrap();
    drop(cache);
    let started = Instant::now();
    while listening(&ready) {
        assert!(started.elapsed() < Duration::from_secs(5), "the server outlived its maker");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Half-made, or left by a crash.
    chosen(None, Isolation::Server, state.path()).await.remove(&ready.resource).await.unwrap();
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

// ---- users of a shared server ----

#[tokio::test]
async fn a_user_can_do_nothing_beyond_its_prefix() {
    let shared = Shared::start().await;
    let cache = shared.cache().await;
    let ready = cache.create(&cache.intend(&lease("r", "a"))).await.unwrap();
    let own = format!("{}k", ready.env["BLUEPRINT_CACHE_PREFIX"]);
    shared.admin(&["SET", "foreign", "theirs"]).await.unwrap();
    let allowed: [&[&str]; 7] = [
        &["SET", &own, "v", "EX", "60"],
        &["GET", &own],
        &["EVAL", "return redis.call('GET', KEYS[1])", "1", &own],
        &["SCRIPT", "LOAD", "return 1"],
        &["PUBLISH", &own, "m"],
        &["SELECT", "1"],
        &["PING"],
    ];
    for words in allowed {
        run(&ready, words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
    let denied: [&[&str]; 27] = [
        &["GET", "foreign"],
        &["SET", "foreign", "mine"],
        &["DEL", "foreign"],
        &["RENAME", &own, "foreign"],
        &["COPY", "foreign", &own],
        &["EVAL", "return redis.call('GET', 'foreign')", "0"],
        &["EVAL", "return redis.call('FLUSHALL')", "0"],
        &["PUBLISH", "foreign", "m"],
        &["PUBSUB", "CHANNELS"],
        &["SCAN", "0"],
        &["KEYS", "*"],
        &["RANDOMKEY"],
        &["DBSIZE"],
        &["INFO"],
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["SWAPDB", "0", "1"],
        &["MOVE", &own, "1"],
        &["SCRIPT", "FLUSH"],
        &["SCRIPT", "KILL"],
        &["FUNCTION", "FLUSH"],
        &["FUNCTION", "LIST"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["MONITOR"],
        &["SHUTDOWN"],
    ];
    for words in denied {
        let error = run(&ready, words).await.err().unwrap_or_else(|| panic!("{words:?} is allowed"));
        assert!(denies(&error), "{words:?}: {error}");
    }
    assert_eq!(shared.admin(&["GET", "foreign"]).await.unwrap(), text("theirs"));
    cache.remove(&ready.resource).await.unwrap();
}

#[tokio::test]
async fn removing_takes_the_users_keys_in_every_database_and_nothing_else() {
    let shared = Shared::start().await;
    let cache = shared.cache().await;
    let ready = cache.create(&cache.intend(&lease("r", "a"))).await.unwrap();
    let prefix = &ready.env["BLUEPRINT_CACHE_PREFIX"];
    let elsewhere = ready.env["REDIS_URL"].replace("/0", "/5");
    for index in 0..5 {
        run_at(&elsewhere, &["SET", &format!("{prefix}{index}"), "v"]).await.unwrap();
    }
    // Enough for several steps of the scan.
    let fill = "for i = 1, 3000 do redis.call('SET', KEYS[1] .. i, 'v') end";
    shared.admin(&["EVAL", fill, "1", prefix]).await.unwrap();
    let alike = [prefix.trim_end_matches(':').to_owned(), "bp:r:a:other".to_owned(), "user_cache:1".to_owned()];
    for key in &alike {
        shared.admin(&["SET", key, "theirs"]).await.unwrap();
    }
    cache.remove(&ready.resource).await.unwrap();
    assert_eq!(shared.admin(&["DBSIZE"]).await.unwrap(), Value::Int(3));
    let other = run_at(&shared.url().replace("/0", "/5"), &["DBSIZE"]).await.unwrap();
    assert_eq!(other, Value::Int(0));
}

#[tokio::test]
async fn what_was_not_made_here_is_never_removed() {
    let shared = Shared::start().await;
    let cache = shared.cache().await;
    let intended = cache.intend(&lease("r", "a"));
    let changed = [
        ("acl", "127.0.0.1:1", &*intended.name),
        ("server", &intended.place, &intended.name),
        ("acl", &intended.place, "default"),
    ];
    for (kind, place, name) in changed {
        let mut resource = intended.clone();
        (resource.kind, resource.place, resource.name) = (kind.to_owned(), place.to_owned(), name.to_owned());
        let error = cache.remove(&resource).await.unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
    // A run's name out of a hostile place makes no pattern.
    let wild = cache.intend(&lease("*", "a"));
    cache.create(&wild).await.unwrap_err();
    cache.remove(&wild).await.unwrap_err();
}

#[tokio::test]
async fn a_wrong_password_and_a_user_without_rights_are_told_apart_and_not_shown() {
    let shared = Shared::start().await;
    let refused = async |url: String| {
        let settings = ServiceSettings {
            used_as: Use::Cache,
            url: Some(url),
            isolation: Isolation::Acl,
            state: shared.dir.path().to_owned(),
            ..ServiceSettings::default()
        };
        let error = choose(settings, Arc::new(Local)).await.err().unwrap().to_string();
        assert!(!error.contains("s3cret") && !error.contains("wr0ng"), "{error}");
        error
    };
    let wrong = refused(shared.url().replace("s3cret", "wr0ng")).await;
    assert!(wrong.contains("can't be reached"), "{wrong}");
    shared.admin(&["ACL", "SETUSER", "small", "on", ">s3cret", "+@all", "-acl", "~*"]).await.unwrap();
    let small = refused(shared.url().replace("//:", "//small:")).await;
    assert!(small.contains("may not manage users (ACL)"), "{small}");
}
