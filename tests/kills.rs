//! A run that is killed at any moment: `resume` brings it to the end that it would have had, `gc`
//! alone gives everything back, and neither leaves anything behind.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};
use common::postgres::Postgres;
use common::services::{self, Redis, Speaks, build, gone, kept, kill_at, landed, left, left_in, segments};
use common::{Done, Repo};

/// What is to be written when the kill comes: a condition on the journal's records.
fn kind(kind: &str) -> String {
    format!("kind = '{kind}'")
}

/// As [`kind`], of one kind of resource.
fn resource(kind: &str, resource: &str) -> String {
    format!("kind = '{kind}' AND json_extract(data, '$.resource.resource') = '{resource}'")
}

/// The record of a lease's own database or cache.
fn service(kind: &str, used_as: &str) -> String {
    let kinds = if used_as == "database" { "LIKE 'postgresql-%'" } else { "IN ('server', 'acl')" };
    format!("kind = '{kind}' AND json_extract(data, '$.resource.service.kind') {kinds}")
}

/// Puts `main` back to where it was before a run landed, for the next.
fn rewind(repo: &Repo, to: &str) {
    repo.git(&["reset", "--quiet", "--hard", to]);
}

/// Kills runs of one repository at each of these records, and resumes them.
async fn killed_and_resumed(repo: &Repo, conditions: &[String]) {
    let before = repo.git(&["rev-parse", "main"]);
    for condition in conditions {
        kill_at(repo, condition).await;
        let segments = segments(repo);
        let done = repo.blueprint(&["resume"]);
        assert_eq!(done.code, 0, "killed at {condition}: {}\n{}", done.out, done.err);
        landed(repo, &before, "20\n");
        repo.blueprint(&["gc", "--keep-templates"]).ends_with(0);
        assert_eq!(left(repo).await, Vec::<String>::new(), "killed at {condition}, resumed");
        assert_eq!(kept(&segments), Vec::<String>::new(), "killed at {condition}, resumed");
        rewind(repo, &before);
    }
    assert_eq!(gone(repo).await, Vec::<String>::new());
}

/// Kills runs of one repository at each of these records, and only collects what they left.
async fn killed_and_collected(repo: &Repo, conditions: &[String]) {
    let before = repo.git(&["rev-parse", "main"]);
    for condition in conditions {
        kill_at(repo, condition).await;
        let segments = segments(repo);
        repo.blueprint(&["gc", "--keep-templates"]).ends_with(0);
        assert_eq!(left(repo).await, Vec::<String>::new(), "killed at {condition}, collected");
        assert_eq!(kept(&segments), Vec::<String>::new(), "killed at {condition}, collected");
        assert_eq!(repo.git(&["rev-parse", "main"]), before, "killed at {condition}");
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "killed at {condition}");
    }
    assert_eq!(gone(repo).await, Vec::<String>::new());
}

/// Slow enough for every record to be met.
fn arena(config: &str) -> Arena {
    Arena { slice: "0.02", config: config.to_owned(), ..Arena::default() }
}

#[test]
fn a_ref_that_is_being_moved_when_a_run_is_killed_is_moved_all_the_same() {
    let repo = Arena::default().build();
    let (bin, begun, done) = ["bin", "begun", "done"].map(|name| repo.dir.path().join(name)).into();
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    // Killed while it holds a lock, git would leave that in the way of everybody.
    let slow = format!(
        "#!/bin/sh\nPATH='{path}'\ncase \" $* \" in *' update-ref -d '*)\n  : > '{}'; sleep 1; git \"$@\"; code=$?; : > '{}'; exit $code\nesac\nexec git \"$@\"\n",
        begun.display(),
        done.display()
    );
    std::fs::write(bin.join("git"), slow).unwrap();
    std::fs::set_permissions(bin.join("git"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    command.env("PATH", format!("{}:{path}", bin.display())).args(["run", DOCUMENT]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    appears(&begun);
    child.kill().unwrap();
    child.wait().unwrap();
    appears(&done);
    repo.blueprint(&["resume"]).ends_with(0);
}

fn appears(path: &Path) {
    let until = Instant::now() + Duration::from_secs(common::seconds_here(60));
    while !path.exists() {
        assert!(Instant::now() < until, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_services_at_every_kind_of_record() {
    let repo = Arena { costs: vec![("A", 20), ("B", 60), ("C", 600)], slice: "0.01", ..Arena::default() }.build();
    let all = [
        kind("started"),
        resource("intended", "directory"),
        resource("intended", "worktree"),
        resource("made", "worktree"),
        kind("step"),
        kind("harvested"),
        kind("tested"),
        kind("block"),
        kind("ended"),
        kind("concluded"),
        kind("landing"),
        kind("landed"),
        kind("removed"),
    ];
    killed_and_resumed(&repo, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_services_and_only_collected() {
    let repo = arena("").build();
    let some = [kind("started"), resource("intended", "worktree"), kind("harvested"), kind("block"), kind("concluded")];
    killed_and_collected(&repo, &some).await;
}

const PRIVATE: &str = "database: {engine: postgres, seed: [db/seed.sql]}\ncache: {}\n";

#[tokio::test(flavor = "multi_thread")]
async fn with_private_servers() {
    let repo = build(&arena(PRIVATE), Speaks::Postgres);
    let some =
        [service("intended", "database"), service("intended", "cache"), kind("tested"), kind("block"), kind("landing")];
    killed_and_resumed(&repo, &some).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_private_servers_and_only_collected() {
    let repo = build(&arena(PRIVATE), Speaks::Postgres);
    let some = [
        kind("started"),
        service("intended", "database"),
        service("made", "database"),
        service("intended", "cache"),
        service("made", "cache"),
        kind("block"),
    ];
    killed_and_collected(&repo, &some).await;
}

/// A configured PostgreSQL and Redis, and the configuration that shares them.
async fn shared(isolation: &str) -> (Postgres, Redis, String) {
    let (server, redis) = (Postgres::start().await, Redis::start());
    server.run("postgres", "CREATE ROLE maker LOGIN PASSWORD 'hunter2' CREATEDB CREATEROLE").await;
    server.run("postgres", "CREATE DATABASE dev OWNER maker").await;
    let (url, cache) = (server.url("maker", "hunter2", "dev"), redis.url());
    let config = format!(
        "database: {{url: \"{url}\", isolation: {isolation}, seed: [db/seed.sql]}}\n\
         cache: {{url: \"{cache}\", isolation: acl}}\n"
    );
    (server, redis, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_databases_and_users_of_configured_servers() {
    let (server, redis, config) = shared("database").await;
    let repo = build(&arena(&config), Speaks::Postgres);
    killed_and_resumed(&repo, &[service("intended", "database"), kind("block"), kind("landed")]).await;
    assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    assert_eq!(redis.left(), Vec::<String>::new());
    for condition in [
        kind("started"),
        service("intended", "database"),
        service("made", "database"),
        service("intended", "cache"),
        kind("tested"),
    ] {
        killed_and_collected(&repo, std::slice::from_ref(&condition)).await;
        assert_eq!(left_in(&server, "dev").await, Vec::<String>::new(), "killed at {condition}");
        assert_eq!(redis.left(), Vec::<String>::new(), "killed at {condition}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_schemas_of_a_configured_database() {
    let (server, redis, config) = shared("schema").await;
    let repo = build(&arena(&config), Speaks::Postgres);
    killed_and_resumed(&repo, &[kind("block")]).await;
    killed_and_collected(&repo, &[service("intended", "database"), kind("tested")]).await;
    assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    assert_eq!(redis.left(), Vec::<String>::new());
    server.stop().await;
}

/// A seed that takes its time.
const SLOW: &str = "CREATE TABLE marks (id serial PRIMARY KEY, who text NOT NULL);\nSELECT pg_sleep(5);\n";

#[tokio::test(flavor = "multi_thread")]
async fn while_a_template_is_built() {
    let (server, _redis, config) = shared("database").await;
    for config in [PRIVATE, &config] {
        let repo = build(&arena(config), Speaks::Postgres);
        repo.write("db/seed.sql", SLOW);
        repo.commit("a slow seed");
        let mut child = services::spawn(&repo, &["run", DOCUMENT]);
        let asleep = "SELECT query FROM pg_stat_activity WHERE query LIKE '%pg_sleep(5)%' AND pid <> pg_backend_pid()";
        let private = repo.dir.path().join("cache/blueprint/postgresql/templates");
        let building = async || {
            let files = common::tree(&private).into_iter().map(|(path, _)| path);
            let started = files.filter(|path| path.ends_with("data/postmaster.pid")).count() > 0;
            started || !server.list("postgres", asleep).await.is_empty()
        };
        let started = Instant::now();
        while !building().await {
            assert!(started.elapsed() < Duration::from_secs(30), "no template is built");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let began = Instant::now();
        repo.blueprint(&["gc"]).ends_with(0);
        assert!(began.elapsed() < Duration::from_secs(4), "the dead builder's seed is not waited for");
        assert_eq!(gone(&repo).await, Vec::<String>::new());
        assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_winners_many_files_are_written_into_the_checkout() {
    let agent = "case $1 in A) echo 20 ;; B) echo 60 ;; esac >cost.txt\nmkdir -p notes\n\
                 i=0; while [ $i -lt 3000 ]; do : >notes/$i; i=$((i+1)); done\n";
    let arena = Arena { agent: "{command: \"sh agent.sh {variant}\"}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write("agent.sh", agent);
    let before = repo.commit("an agent");
    let mut child = services::spawn(&repo, &["run", DOCUMENT]);
    let started = Instant::now();
    // Git writes files before it moves the branch.
    while !repo.root().join("notes").exists() {
        assert!(child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(600), "nothing lands");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    repo.blueprint(&["resume"]).ends_with(0);
    repo.blueprint(&["gc"]).ends_with(0);
    assert_eq!(repo.git(&["rev-parse", "main^1"]), before);
    assert_eq!((repo.read("cost.txt"), repo.git(&["status", "--porcelain"])), ("20\n".to_owned(), String::new()));
    assert_eq!(left(&repo).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_agent_runs_that_left_a_daemon_behind() {
    let agent = "( setsid sh -c 'sleep 600 & sleep 601' >/dev/null 2>&1 & )\nsleep 0.2\ntouch \"$TMPDIR/../../../started\"\nsleep 60\n";
    // In a sandbox it is dead by then.
    let config = "sandbox: off\n".to_owned();
    let arena = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), config, ..Arena::default() };
    let repo = arena.build();
    repo.write("agent.sh", agent);
    repo.commit("an agent");
    let mut child = services::spawn(&repo, &["run", DOCUMENT]);
    let started = Instant::now();
    let daemons = || services::processes(repo.dir.path()).iter().filter(|p| p.ends_with("sleep 600 ")).count();
    while daemons() < 2 {
        assert!(started.elapsed() < Duration::from_secs(300), "the agents do not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(daemons(), 2, "they left our group on purpose");
    repo.blueprint(&["gc"]).ends_with(0);
    assert_eq!(left(&repo).await, Vec::<String>::new());
}

#[test]
fn two_documents_are_carried_out_at_once_by_two_processes() {
    let arena = arena("");
    let repo = arena.build();
    let other = "docs/blueprints/other.md";
    // The second one's variants come out of branches and change another file.
    let text = arena.document().replace("cost.txt, notes/**", "price.txt").replace(DOCUMENT, other);
    let text = text.replace("Z_cost", "Z_price").replace("Variant A", "Variant C").replace("Variant B", "Variant D");
    repo.write(other, &text.replace("| A |", "| C |").replace("| B |", "| D |"));
    repo.write("price.txt", "90\n");
    for (key, price) in [("C", 30), ("D", 50)] {
        repo.write(&format!("recorded/{key}.patch"), &Arena::patch(price).replace("cost.txt", "price.txt"));
    }
    // What counts is the cheaper of the two.
    let bench = repo.read("bench/cost.sh").replace("$(cat cost.txt)", "$(sort -n cost.txt price.txt | head -1)");
    repo.write("bench/cost.sh", &bench);
    repo.commit("two documents");
    let children = [DOCUMENT, other].map(|document| {
        let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
        let command = command.args(["run", document]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    });
    for child in children {
        Done::of(child.wait_with_output().unwrap()).ends_with(0);
    }
    assert_eq!((repo.read("cost.txt"), repo.read("price.txt")), ("20\n".to_owned(), "30\n".to_owned()));
    for document in [DOCUMENT, other] {
        assert!(repo.read(document).contains("**Status**: completed"), "{document}");
    }
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_ref_of_the_run_was_locked() {
    let repo = arena("").build();
    let before = repo.git(&["rev-parse", "main"]);
    kill_at(&repo, &kind("harvested")).await;
    let runs = services::query(&repo, "SELECT DISTINCT run FROM record").await.unwrap();
    for place in ["refs/blueprint", "refs/heads/blueprint"] {
        repo.write(&format!(".git/{place}/{}/a.lock", runs[0]), "");
    }
    repo.blueprint(&["resume"]).ends_with(0);
    landed(&repo, &before, "20\n");
    assert_eq!(left(&repo).await, Vec::<String>::new());
}
