//! Whole runs through the binary with real databases and caches at every level of isolation.

mod common;

use common::arena::{Arena, DOCUMENT};
use common::postgres::Postgres;
use common::services::{self, Redis, Speaks, build, gone, landed, left, left_in, query};
use common::{Done, Repo};

/// An arena in which every contender works with services of its own.
fn arena(config: &str) -> Arena {
    Arena { config: config.to_owned(), ..Arena::default() }
}

/// The arena with a program as its agent: it too has services of its own.
fn with_program(config: &str) -> Arena {
    let script = "sh agent.sh {variant}".to_owned();
    Arena { agent: format!("{{command: \"{script}\"}}"), ..arena(config) }
}

/// Leaves its mark in the services and does the work.
const AGENT: &str = r#"set -e
. bench/services.sh
mark
case $1 in A) echo 20 ;; B) echo 60 ;; esac >cost.txt
sleep 0.2
alone
"#;

fn with_agent(repo: Repo) -> Repo {
    repo.write("agent.sh", AGENT);
    repo.commit("an agent");
    repo
}

/// Runs to the end: A lands, templates stay for the next run, and `gc` leaves nothing on this machine.
async fn runs(repo: &Repo) -> Done {
    let before = repo.git(&["rev-parse", "main"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(repo, &before, "20\n");
    assert_eq!(left(repo).await, Vec::<String>::new());
    says(&repo.blueprint(&["gc", "--keep-templates"]).ends_with(0), &["nothing to remove"]);
    says(&repo.blueprint(&["gc"]).ends_with(0), &["removed templates that nothing uses"]);
    assert_eq!(gone(repo).await, Vec::<String>::new());
    done
}

/// What a run chose, as its first lines say it.
#[track_caller]
fn says(done: &Done, words: &[&str]) {
    for word in words {
        assert!(
            done.err.contains(word) || done.out.contains(word),
            "`{word}` is missing in {}\n{}",
            done.out,
            done.err
        );
    }
}

async fn shared_server() -> Postgres {
    let server = Postgres::start().await;
    server.run("postgres", "CREATE ROLE maker LOGIN PASSWORD 'hunter2' CREATEDB CREATEROLE").await;
    server.run("postgres", "CREATE ROLE roles LOGIN PASSWORD 'hunter2' CREATEROLE").await;
    server.run("postgres", "CREATE ROLE plain LOGIN PASSWORD 'hunter2'").await;
    server.run("postgres", "CREATE DATABASE dev; ").await;
    server.run("postgres", "GRANT ALL ON DATABASE dev TO roles, maker, plain").await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn each_contender_has_a_private_server_and_a_private_redis() {
    let config = "database: {engine: postgres, seed: [db/seed.sql]}\ncache: {}\n\
                  migrate: [\"psql -qX -c 'CREATE INDEX ON marks (who)'\"]\n";
    let repo = with_agent(build(&with_program(config), Speaks::Postgres));
    let done = runs(&repo).await;
    says(&done, &["postgresql server", "redis server"]);
    let names = "SELECT DISTINCT json_extract(data, '$.resource.service.name') FROM record
                 WHERE kind = 'made' AND json_extract(data, '$.resource.service.kind') = 'postgresql-server'";
    // Fresh trees of the baseline and of who is to land come and go between judging and landing.
    let names: Vec<String> = query(&repo, names).await.unwrap();
    let judged = names.iter().filter(|name| !name.contains("_fresh")).count();
    assert_eq!(judged, 7, "two agents, four judged trees, the merged one: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_contender_has_a_database_and_a_redis_user_of_configured_servers() {
    let (server, redis) = (shared_server().await, Redis::start());
    let url = server.url("maker", "hunter2", "dev");
    let config = format!(
        "database: {{url: \"{url}\", isolation: database, seed: [db/seed.sql]}}\n\
         cache: {{url: \"{}\", isolation: acl}}\n",
        redis.url()
    );
    redis.ask(&["SET", "theirs", "stays"]);
    let repo = with_agent(build(&with_program(&config), Speaks::Postgres));
    let done = runs(&repo).await;
    says(&done, &["postgresql database", "redis user"]);
    assert!(!done.err.contains("hunter2") && !done.err.contains("s3cret"), "{}", done.err);
    assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    assert_eq!(redis.left(), ["key theirs"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_contender_has_a_schema_where_the_role_may_create_no_databases_and_the_run_says_so() {
    let server = shared_server().await;
    server.run("dev", "CREATE TABLE marks (who text); INSERT INTO marks VALUES ('theirs')").await;
    let config = format!("database: {{url: \"{}\", seed: [db/seed.sql]}}\n", server.url("roles", "hunter2", "dev"));
    let repo = build(&arena(&config), Speaks::Postgres);
    let before = repo.git(&["rev-parse", "main"]);
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    // A machine without PostgreSQL of its own.
    let command = command.args(["run", DOCUMENT]).env("BLUEPRINT_PG_BIN", "/nonexistent");
    let done = Done::of(command.output().unwrap()).ends_with(0);
    landed(&repo, &before, "20\n");
    says(&done, &["postgresql schema", "`roles` may create no databases, and it may create schemas"]);
    assert_eq!(left(&repo).await, Vec::<String>::new());
    assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    assert_eq!(server.list("dev", "SELECT who FROM marks").await, ["theirs"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_contender_has_a_sqlite_file() {
    let repo = build(&arena("database: {engine: sqlite, seed: [db/seed.sql]}\n"), Speaks::Sqlite);
    says(&runs(&repo).await, &["sqlite file"]);
}

/// A refusal before anything is spent: no journal of a run, no work, nothing made.
#[track_caller]
fn refused(repo: &Repo, code: i32, words: &[&str]) -> Done {
    let before = common::tree(repo.dir.path());
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(code).says(words);
    let names = |files: Vec<(std::path::PathBuf, Vec<u8>)>| files.into_iter().map(|f| f.0).collect::<Vec<_>>();
    assert_eq!(names(before), names(common::tree(repo.dir.path())));
    assert!(!format!("{done:?}").contains("hunter2"), "{done:?}");
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_do_what_the_asked_level_needs_is_refused_with_what_to_grant() {
    let server = shared_server().await;
    for (role, isolation, words) in [
        ("roles", "database", ["create databases", "ALTER ROLE \"roles\" CREATEDB CREATEROLE"]),
        ("plain", "schema", ["create roles", "ALTER ROLE \"plain\" CREATEROLE"]),
    ] {
        let url = server.url(role, "hunter2", "dev");
        let config = format!("database: {{url: \"{url}\", isolation: {isolation}, seed: [db/seed.sql]}}\n");
        let repo = build(&arena(&config), Speaks::Postgres);
        refused(&repo, 1, &[&[role], &words[..]].concat());
    }
    assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    server.stop().await;
}

#[test]
fn servers_that_do_not_answer_are_refused_at_every_level_before_anything_is_made() {
    for isolation in ["auto", "database", "schema"] {
        let url = "postgresql://bp:hunter2@127.0.0.1:1/app";
        let repo = build(&arena(&format!("database: {{url: \"{url}\", isolation: {isolation}}}\n")), Speaks::Postgres);
        refused(&repo, 1, &["127.0.0.1:1", "database.url"]);
    }
    let repo = build(&arena("cache: {url: \"redis://:hunter2@127.0.0.1:1/0\", isolation: acl}\n"), Speaks::Sqlite);
    refused(&repo, 1, &["127.0.0.1:1", "cache.url"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_fails_is_named_with_file_and_line_and_leaves_nothing() {
    let server = shared_server().await;
    let url = |role| server.url(role, "hunter2", "dev");
    for config in [
        "{engine: postgres, seed: [db/seed.sql, db/rows.sql]}".to_owned(),
        format!("{{url: \"{}\", isolation: database, seed: [db/seed.sql, db/rows.sql]}}", url("maker")),
        format!("{{url: \"{}\", isolation: schema, seed: [db/seed.sql, db/rows.sql]}}", url("roles")),
    ] {
        let repo = build(&arena(&format!("database: {config}\n")), Speaks::Postgres);
        repo.write("db/rows.sql", "-- rows\nINSERT INTO marks (who) VALUES ('a');\nINSERT INTO nowhere VALUES (1);\n");
        repo.commit("rows");
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(1);
        let done = done.says(&["db/rows.sql:3", "relation \"nowhere\" does not exist"]);
        assert!(!done.err.contains("hunter2"), "{}", done.err);
        assert_eq!(left(&repo).await, Vec::<String>::new(), "{config}");
        assert_eq!(services::templates(&repo), Vec::<String>::new(), "{config}");
        repo.blueprint(&["gc"]).ends_with(0);
    }
    assert_eq!(left_in(&server, "dev").await, Vec::<String>::new());
    server.stop().await;
}
