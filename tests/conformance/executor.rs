//! The executor port: this machine, and closures in the place of its programs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blueprint::adapters::executor::fake::{FakeExecutor, FakeSandbox, Given, Ran};
use blueprint::adapters::executor::local::Local;
use blueprint::adapters::process::{
    Command, Environment, Executor, Exit, FIRST, Order, ProcessError, Sandbox, Stop, Stray,
};

use crate::world::World;

/// A minute is for ever here.
const FOR_EVER: &str = "61.5";

/// What the programs of this test do where they are closures.
fn programs(fake: FakeExecutor) -> FakeExecutor {
    fn line(given: &Given<'_>) -> String {
        format!("{}\n", given.args.join(" "))
    }
    fake.program("echo", |given| Ran::well(line(given)))
        .program("pwd", |given| Ran::well(format!("{}\n", given.dir().display())))
        .program("cat", |given| Ran::well(given.command.stdin.clone().unwrap_or_default()))
        .program("printenv", |given| match given.args {
            [name] => Ran::well(format!("{}\n", given.var(name))),
            _ => Ran::well(given.command.env.keys().map(|name| format!("{name}=…\n")).collect::<String>()),
        })
        .program("ls", |given| Ran::badly(2, format!("ls: cannot access {}", line(given))))
        .program("sleep", |given| Ran {
            takes: Duration::from_secs_f64(given.args[0].parse().unwrap()),
            ..Ran::well("")
        })
        .program("setsid", |given| Ran { leaves: vec![given.args[1..].join(" ")], ..Ran::well("") })
}

/// Each executor with its disk.
fn all() -> Vec<(World, Arc<dyn Executor>)> {
    let World::Fake(disk) = World::fake() else { unreachable!() };
    let fake = Arc::new(programs(FakeExecutor::on(&disk)));
    vec![(World::real(), Arc::new(Local)), (World::Fake(disk), fake)]
}

fn environment(lease: &str) -> Environment {
    let (path, run) = (std::env::var("PATH").unwrap(), lease.split('/').next().unwrap_or_default());
    let of = [("PATH", path.as_str()), ("BLUEPRINT_RUN", run), ("BLUEPRINT_LEASE", lease)];
    of.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A lease's name that nobody else has; it begins with its run's.
fn lease(name: &str) -> String {
    format!("conformance-{}/{name}", std::process::id())
}

fn command(dir: &Path, words: &[&str]) -> Command {
    Command::new(words[0], words[1..].iter().copied(), dir).env(&environment(&lease("a")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_gets_its_arguments_its_directory_its_input_and_only_its_own_environment() {
    for (world, exec) in all() {
        let (kind, root) = (world.kind(), world.root());
        let run = |command: Command| async { exec.run(command, &Stop::new()).await.unwrap() };
        assert_eq!(run(command(&root, &["echo", "a b", "c"])).await.text(), "a b c\n", "{kind}");
        assert_eq!(run(command(&root, &["pwd"])).await.text(), format!("{}\n", root.display()), "{kind}");
        let fed = Command { stdin: Some(b"fed".to_vec()), ..command(&root, &["cat"]) };
        assert_eq!(run(fed).await.text(), "fed", "{kind}");
        let told = run(command(&root, &["printenv", "BLUEPRINT_LEASE"])).await;
        assert_eq!(told.text(), format!("{}\n", lease("a")), "{kind}");
        let all = run(command(&root, &["printenv"])).await.text();
        let names: Vec<_> = all.lines().map(|line| line.split('=').next().unwrap()).collect();
        assert!(names.contains(&"PATH") && !names.contains(&"HOME"), "{kind}: {names:?}");
        let by_shell = Command::shell("exec echo one 'two three'", &root).env(&environment(&lease("a")));
        assert_eq!(run(by_shell).await.text(), "one two three\n", "{kind}");
        let more = Command::new("sh", ["-c", "exec echo one \"$@\"", "sh", "$x", "y"], &root);
        assert_eq!(run(more.env(&environment(&lease("a")))).await.text(), "one $x y\n", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_program_ended_and_what_it_printed_is_told() {
    for (world, exec) in all() {
        let (kind, root) = (world.kind(), world.root());
        let run = |command: Command| async { exec.run(command, &Stop::new()).await };
        assert!(run(command(&root, &["true"])).await.unwrap().exit.success(), "{kind}");
        assert_eq!(run(command(&root, &["false"])).await.unwrap().exit, Exit::Code(1), "{kind}");
        let failed = run(command(&root, &["ls", "/nowhere-at-all"])).await.unwrap();
        assert_eq!(failed.exit, Exit::Code(2), "{kind}");
        assert!(failed.tail(3).contains("/nowhere-at-all") && failed.text().is_empty(), "{kind}: {}", failed.tail(3));
        let missing = run(command(&root, &["no-such-program-anywhere"])).await;
        assert!(matches!(missing, Err(ProcessError::Missing { .. })), "{kind}: {missing:?}");
        let by_shell = Command::shell("exec no-such-program-anywhere", &root).env(&environment(&lease("a")));
        assert_eq!(run(by_shell).await.unwrap().exit, Exit::Code(127), "{kind}");
        let long = "0123456789".repeat(300);
        let kept = run(Command { keep: 4, ..command(&root, &["echo", &long]) }).await.unwrap();
        assert_eq!((kept.text().as_str(), kept.first.len()), ("789\n", FIRST), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_is_added_to_a_log_whole() {
    for (world, exec) in all() {
        let (kind, root) = (world.kind(), world.root());
        let log = root.join("a.log");
        for word in ["one", "two"] {
            let logged = Command { log: Some(log.clone()), keep: 1, ..command(&root, &["echo", word]) };
            exec.run(logged, &Stop::new()).await.unwrap();
        }
        assert_eq!(world.read(&log).as_deref(), Some("one\ntwo\n"), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_stopped_at_its_limit_and_on_request_and_never_started_by_whoever_is_to_stop() {
    for (world, exec) in all() {
        let (kind, root) = (world.kind(), world.root());
        let began = Instant::now();
        let limited = command(&root, &["sleep", FOR_EVER]).limit(Duration::from_millis(50));
        assert_eq!(exec.run(limited, &Stop::new()).await.unwrap().exit, Exit::TimedOut, "{kind}");
        let stop = Stop::new();
        let asked = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.cancel();
        };
        let (done, ()) = tokio::join!(exec.run(command(&root, &["sleep", FOR_EVER]), &stop), asked);
        assert_eq!(done.unwrap().exit, Exit::Stopped, "{kind}");
        let log = root.join("never.log");
        let late = Command { log: Some(log.clone()), ..command(&root, &["echo", "x"]) };
        assert_eq!(exec.run(late, &stop).await.unwrap().exit, Exit::Stopped, "{kind}");
        assert!(!world.has(&log), "{kind}");
        assert!(began.elapsed() < Duration::from_secs(60), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_metered_program_leaves_running_is_told_and_gone_and_what_another_leaves_is_its_lease_s_to_settle() {
    for (world, exec) in all() {
        let (kind, root) = (world.kind(), world.root());
        // It has left the group of its program before that ends, and dies with it.
        let line = format!(
            "setsid sleep {FOR_EVER} > /dev/null 2>&1 & until grep -qa ^sleep /proc/$!/cmdline; do sleep 0.01; done"
        );
        let real = ["sh", "-c", line.as_str()];
        let fake = ["setsid", "-f", "sleep", FOR_EVER];
        let words: &[&str] = if kind == "real" { &real } else { &fake };
        let daemon = |name: &str| command(&root, words).env(&environment(&lease(name)));
        let names = |left: &[Stray]| left.iter().map(|stray| stray.name.clone()).collect::<Vec<_>>();
        let expected = [format!("sleep {FOR_EVER}")];
        let metered = Command { metered: true, ..daemon("metered") };
        let done = exec.run(metered, &Stop::new()).await.unwrap();
        assert_eq!(names(&done.left), expected, "{kind}");
        assert_eq!(exec.sweep("BLUEPRINT_LEASE", &lease("metered")).await, 0, "{kind}");
        for lease_of in ["b", "c", "d"] {
            let done = exec.run(daemon(lease_of), &Stop::new()).await.unwrap();
            assert!(done.exit.success() && done.left.is_empty(), "{kind}: {done:?}");
        }
        assert_eq!(names(&exec.settle(&lease("b")).await), expected, "{kind}");
        assert_eq!(exec.settle(&lease("b")).await, [], "{kind}: it is gone");
        assert_eq!(exec.sweep("BLUEPRINT_LEASE", &lease("c")).await, 1, "{kind}");
        assert_eq!(exec.sweep("BLUEPRINT_LEASE", &lease("c")).await, 0, "{kind}");
        assert_eq!(exec.sweep("BLUEPRINT_LEASE", &lease("d")).await, 1, "{kind}: nobody else's was touched");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_stays_until_it_is_stopped_or_dropped_and_the_end_of_one_that_ends_is_told() {
    for (world, exec) in all() {
        let (kind, root) = (world.kind(), world.root());
        let serve = |words: &[&str], name: &str| exec.serve(command(&root, words).env(&environment(&lease(name))));
        let mut stays = serve(&["sleep", FOR_EVER], "stays").await.unwrap();
        assert!(stays.ended().is_none() && stays.pid() > 0, "{kind}");
        assert_eq!((stays.stop().await, stays.ended()), (Exit::Stopped, Some(Exit::Stopped)), "{kind}");
        let mut ends = serve(&["ls", "/nowhere-at-all"], "ends").await.unwrap();
        for _ in 0..2000 {
            if ends.ended().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(ends.ended(), Some(Exit::Code(2)), "{kind}");
        assert!(ends.tail(3).contains("/nowhere-at-all"), "{kind}: {}", ends.tail(3));
        let dropped = serve(&["sleep", FOR_EVER], "dropped").await.unwrap();
        drop(dropped);
        let began = Instant::now();
        while exec.sweep("BLUEPRINT_LEASE", &lease("dropped")).await > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "{kind}");
        }
        let swept = serve(&["sleep", FOR_EVER], "swept").await.unwrap();
        assert_eq!(exec.settle(&lease("swept")).await, [], "{kind}: it has not ended");
        assert_eq!(exec.sweep("BLUEPRINT_LEASE", &lease("swept")).await, 1, "{kind}");
        drop(swept);
        let missing = exec.serve(command(&root, &["no-such-program-anywhere"])).await.err();
        assert!(matches!(missing, Some(ProcessError::Missing { .. })), "{kind}: {missing:?}");
    }
}

/// What walls keep in can be seen with real ones alone (tests/walls.rs); that all in them ends with them is the same here.
#[tokio::test]
async fn nothing_that_ran_within_fake_walls_goes_on_when_they_are_closed() {
    let World::Fake(disk) = World::fake() else { unreachable!() };
    let exec = programs(FakeExecutor::on(&disk));
    let sandbox = FakeSandbox::around(&exec);
    let order = Order { private: "/world/private".into(), ..Order::default() };
    let walls = sandbox.open(&order).await.unwrap();
    let daemon = command(Path::new("/world"), &["setsid", "-f", "sleep", FOR_EVER]);
    walls.executor().run(daemon, &Stop::new()).await.unwrap();
    assert_eq!(exec.sweep("BLUEPRINT_LEASE", &lease("a")).await, 0, "it is within the walls");
    walls.close().await;
    assert_eq!(walls.executor().settle(&lease("a")).await, []);
    assert_eq!(sandbox.opened().iter().map(|order| order.private.clone()).collect::<Vec<_>>(), [order.private]);
}
