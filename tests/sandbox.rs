//! The walls around a run's programs, through the program: what a variant's agent, set-up, tests and benchmark can reach, and
//! that honest ones are not in their way.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::{Duration, Instant};

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo, TELLS};

const COST: &str = "case $BLUEPRINT_VARIANT in A) echo 20 ;; *) echo 60 ;; esac > cost.txt\n";

/// An arena in which agents, set-up, tests and benchmark all do this first. What they print goes to a file for each.
fn everywhere(script: &str) -> Repo {
    let config = format!("{TELLS}setup: [\"sh all.sh setup\"]\nprotect: [all.sh]\n");
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), config, ..Arena::default() }.build();
    repo.write("all.sh", &format!("{{ {script}\n}} >> \"$HOME/told/$1-$BLUEPRINT_VARIANT\" 2>&1\ntrue\n"));
    repo.write("agent.sh", &format!("sh all.sh agent\n{COST}"));
    for (file, name) in [("tests/run.sh", "test"), ("bench/cost.sh", "slice")] {
        repo.write(file, &repo.read(file).replacen('\n', &format!("\nsh all.sh {name}\n"), 1));
    }
    repo.commit("what all of them do");
    repo
}

/// Who can do it.
const WHO: [&str; 4] = ["agent-A", "setup-A", "test-A", "slice-A"];

/// What each of them printed.
fn said(repo: &Repo) -> Vec<(&'static str, String)> {
    WHO.map(|who| (who, std::fs::read_to_string(repo.told(who)).unwrap_or_else(|error| panic!("{who}: {error}"))))
        .into()
}

#[track_caller]
fn lands(repo: &Repo) -> Done {
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20", "{}{}", done.out, done.err);
    done
}

/// Whether a program with this argument runs anywhere on this machine.
fn runs(argument: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

#[test]
fn nobody_reads_the_repository_other_leases_the_home_or_the_machines_processes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("of-the-host"), "canary-tmp\n").unwrap();
    let repo = everywhere(&format!(
        "cat ~/.ssh/id ~/.netrc ~/../repo/.git/HEAD ~/../repo/blueprint.yaml ~/../repo/.git/blueprint/journal.db {}/of-the-host; \
         ls ~/../cache/blueprint/*; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep canary; cat /etc/shadow; true",
        dir.path().display()
    ));
    std::fs::create_dir_all(repo.home().join(".ssh")).unwrap();
    std::fs::write(repo.home().join(".ssh/id"), "canary-key\n").unwrap();
    std::fs::write(repo.home().join(".netrc"), "canary-netrc\n").unwrap();
    let done =
        repo.command(env!("CARGO_BIN_EXE_blueprint")).args(["run", DOCUMENT]).env("SECRET", "canary-env").output();
    Done::of(done.unwrap()).ends_with(0);
    for (who, text) in said(&repo) {
        assert!(!text.contains("canary") && !text.contains("refs/heads") && !text.contains("SQLite"), "{who}: {text}");
        assert!(text.matches("No such file").count() >= 5, "{who} saw something:\n{text}");
        let own = if who.starts_with("agent") || who.starts_with("setup") {
            ["a", "a_judge"]
        } else {
            ["a_judge", "a_judge"]
        };
        let others = ["a", "a_judge", "b", "b_judge", "baseline_judge", "shadow_judge"]
            .into_iter()
            .filter(|name| !own.contains(name));
        assert!(others.clone().all(|other| !text.lines().any(|line| line == other)), "{who}: {text}");
    }
}

#[test]
fn nobody_writes_outside_of_its_lease() {
    let repo = everywhere(
        "for place in /usr/x /etc/x /x /opt/x; do echo x > $place && echo wrote $place; done; \
         for place in ~/x /tmp/x /var/tmp/x /dev/shm/x; do echo x > $place || echo failed at $place; done; \
         mkdir -p ~/../repo/.git/hooks; echo x > ~/../repo/.git/hooks/pre-merge-commit; echo x > ~/../repo/planted; \
         mkdir -p ~/.config/git; echo x > ~/.config/git/config; true",
    );
    let before = common::tree(&repo.root());
    lands(&repo);
    for (who, text) in said(&repo) {
        assert!(!text.contains("wrote") && !text.contains("failed at"), "{who}: {text}");
    }
    let home: Vec<_> = common::tree(&repo.home()).into_iter().map(|(path, _)| path).collect();
    assert!(home.iter().all(|path| path.starts_with(repo.told(""))), "{home:?}");
    let of_ours = |path: &std::path::Path| path.starts_with(repo.root().join(".git")) || path.ends_with("cost.txt");
    let kept = before.iter().filter(|(path, _)| !of_ours(path) && !path.ends_with(DOCUMENT));
    for (path, bytes) in kept {
        assert_eq!(std::fs::read(path).ok().as_ref(), Some(bytes), "{}", path.display());
    }
    assert!(!repo.root().join("planted").exists() && !repo.root().join(".git/hooks/pre-merge-commit").exists());
    for place in ["/usr/x", "/etc/x", "/x", "/opt/x"] {
        assert!(!std::path::Path::new(place).exists(), "{place}");
    }
}

#[test]
fn nobody_replaces_its_worktree_or_its_judged_tree() {
    let repo = everywhere("W=$(pwd); mv $W $W.moved; rmdir $W; ln -sfn /etc $W; test -e $W/all.sh && echo there");
    lands(&repo);
    for (who, text) in said(&repo) {
        assert!(text.contains("there") && text.contains("busy"), "{who}: {text}");
    }
}

#[test]
fn a_daemon_outlives_neither_its_slice_nor_the_run() {
    let line = format!("sleep 611.{}", std::process::id());
    let argument = line.split(' ').next_back().unwrap().to_owned();
    let repo = everywhere(&format!("setsid -f env -i {line}; (setsid sh -c '{line} &' &); true"));
    let done = repo.blueprint(&["run", DOCUMENT]);
    assert!(!runs(&argument), "{}", done.out);
    // The baseline leaves it too, which is told and ends the run.
    done.ends_with(1).says(&["left `sleep 611", "baseline"]);
}

#[test]
fn nothing_lives_on_when_the_program_is_killed() {
    let line = format!("612.{}", std::process::id());
    let repo = everywhere(&format!("test $1 = agent || exit 0; setsid -f env -i sleep {line}; sleep {line}"));
    let mut run = repo.spawn(&["run", DOCUMENT]);
    let began = Instant::now();
    while !runs(&line) {
        assert!(began.elapsed() < Duration::from_secs(120), "no agent began");
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let killed = Instant::now();
    while runs(&line) {
        assert!(killed.elapsed() < Duration::from_secs(1), "something lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_a_slice_keeps_anywhere_is_not_there_for_the_next_that_counts() {
    let places = "~/kept /tmp/kept /var/tmp/kept /dev/shm/kept $PWD/kept $TMPDIR/../kept $(dirname $(dirname $BLUEPRINT_METRICS))/kept \
                  $(dirname $BLUEPRINT_JUNIT)/kept";
    let repo = everywhere(&format!(
        "test $1 = slice || exit 0; for place in {places}; do test -e $place && echo found $place $(cat $place); echo $BLUEPRINT_SEED > $place; done; \
         echo seed $BLUEPRINT_SEED; true"
    ));
    repo.blueprint(&["run", DOCUMENT]);
    let text = std::fs::read_to_string(repo.told("slice-A")).unwrap();
    let warm = text.lines().find_map(|line| line.strip_prefix("seed ")).unwrap().to_owned();
    for line in text.lines().filter(|line| line.starts_with("found")) {
        assert!(line.ends_with(&warm), "a slice that counts left something: {line}\n{text}");
    }
    assert!(text.lines().filter(|line| line.starts_with("seed")).count() > 4, "{text}");
}

#[test]
fn a_suite_that_uses_home_and_temporary_files_finds_what_set_up_left_there() {
    let repo = everywhere(
        "case $1 in setup) mkdir -p ~/.cache/tool; echo built > ~/.cache/tool/it; echo tmp > /tmp/it ;; \
         agent) ;; *) test \"$(cat ~/.cache/tool/it /tmp/it)\" = \"built\ntmp\" && echo found; \
         f=$(mktemp) && echo x > $f && cat $f; d=$(mktemp -d -p /tmp) && rm -r $d; echo y > ~/.own && cat ~/.own ;; esac",
    );
    lands(&repo);
    for (who, text) in said(&repo).into_iter().skip(2) {
        assert!(text.starts_with("found\nx\ny\n"), "{who}: {text}");
    }
}

#[test]
fn what_the_configuration_names_is_read_and_written() {
    let config = "sandbox: {read: [~/sdk], write: [~/told]}\nsetup: [\"cat ~/sdk/lib && echo x > ~/told/x && ! echo y > ~/sdk/lib\"]\n";
    let repo = Arena { config: config.to_owned(), ..Arena::default() }.build();
    std::fs::create_dir(repo.home().join("sdk")).unwrap();
    std::fs::write(repo.home().join("sdk/lib"), "sdk\n").unwrap();
    lands(&repo);
    assert_eq!(std::fs::read_to_string(repo.told("x")).unwrap(), "x\n");
    assert_eq!(std::fs::read_to_string(repo.home().join("sdk/lib")).unwrap(), "sdk\n");
}

/// A folder for the `PATH` that has these programs and no others.
fn path_with(repo: &Repo, programs: &[&str]) -> std::path::PathBuf {
    let bin = repo.dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for program in programs {
        let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, bin.join(program)).unwrap();
    }
    bin
}

#[test]
fn without_bubblewrap_a_run_warns_and_one_that_requires_walls_is_refused() {
    let repo = Arena::default().build();
    let bin = path_with(&repo, &["sh", "git", "cat", "awk", "sleep", "test", "env"]);
    let run = || {
        let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
        Done::of(command.args(["run", DOCUMENT]).env("PATH", &bin).output().unwrap())
    };
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(TELLS, "sandbox: required\n"));
    repo.commit("required");
    run().ends_with(4).says(&["requires", "bubblewrap is not installed", "apt-get install bubblewrap", "sandbox: off"]);
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("sandbox: required\n", TELLS));
    repo.commit("auto");
    let done = run().says(&["no sandbox", "bubblewrap is not installed"]);
    assert!(done.out.contains("A wins"), "{}", done.out);
}

#[test]
fn in_continuous_integration_walls_are_required_unless_the_configuration_says_otherwise() {
    let repo = Arena::default().build();
    let bin = path_with(&repo, &["sh", "git"]);
    let plan = |ci: &str| {
        let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
        Done::of(command.args(["plan", DOCUMENT]).env("PATH", &bin).env("CI", ci).output().unwrap())
    };
    plan("true").ends_with(4).says(&["a run in continuous integration ($CI) requires one", "sandbox: off"]);
    plan("false").ends_with(0);
    let said = repo.read("blueprint.yaml");
    for mode in ["auto", "off"] {
        repo.write("blueprint.yaml", &said.replace(TELLS, &format!("sandbox: {mode}\n")));
        repo.commit(mode);
        plan("true").ends_with(0);
    }
}

#[test]
fn a_path_that_is_not_absolute_is_refused() {
    let repo = Arena { config: "sandbox: {read: [sdk]}\n".to_owned(), ..Arena::default() }.build();
    repo.blueprint(&["check", DOCUMENT]).ends_with(2).says(&["`sandbox.read`", "`sdk`", "must begin with"]);
}

#[test]
fn an_ordinary_user_has_the_same_walls() {
    if !rustix::process::geteuid().is_root() {
        // Then every test here is one of an ordinary user.
        return;
    }
    let repo = everywhere(
        "cat ~/.ssh/id ~/../repo/.git/HEAD; test $1 = slice && test -e /tmp/kept && cat /tmp/kept; \
         test $1 = slice && echo \"kept $BLUEPRINT_SEED\" > /tmp/kept && echo \"seed $BLUEPRINT_SEED\"; ls -d /proc/[0-9]* | wc -l; \
         test $1 = setup && echo new > ~/.cargo/registry/new",
    );
    std::fs::create_dir_all(repo.home().join(".cargo/registry")).unwrap();
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("sandbox: {", "sandbox: {mode: required, "));
    repo.commit("required");
    std::fs::create_dir_all(repo.home().join(".ssh")).unwrap();
    std::fs::write(repo.home().join(".ssh/id"), "canary-key\n").unwrap();
    let binary = repo.dir.path().join("blueprint");
    std::fs::copy(env!("CARGO_BIN_EXE_blueprint"), &binary).unwrap();
    let given = std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(repo.dir.path()).status().unwrap();
    assert!(given.success());
    let mut command = repo.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary).args(["run", DOCUMENT]);
    let done = Done::of(command.env("PATH", "/usr/local/bin:/usr/bin:/bin").output().unwrap()).ends_with(0);
    for (who, text) in said(&repo) {
        assert!(text.matches("No such file").count() >= 2 && !text.contains("canary"), "{who}: {text}\n{}", done.err);
    }
    assert!(!repo.home().join(".cargo/registry/new").exists());
    let left: Vec<_> =
        std::fs::read_dir(repo.dir.path().join("cache/blueprint")).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let text = std::fs::read_to_string(repo.told("slice-A")).unwrap();
    let warm = text.lines().find_map(|line| line.strip_prefix("seed ")).unwrap();
    assert!(text.lines().filter_map(|line| line.strip_prefix("kept ")).all(|seed| seed == warm), "{text}");
}

#[test]
fn what_is_fetched_into_a_cache_of_packages_stays_with_its_lease_and_credentials_beside_it_are_not_there() {
    let setup = "cat ~/.cargo/registry/old ~/kept/registry/old && test ! -e ~/.cargo/registry/new && \
         for cache in ~/.cargo/registry $CARGO_HOME/registry; do echo new > $cache/new && echo over > $cache/old; done && \
         ! grep canary $CARGO_HOME/credentials.toml ~/.cargo/credentials.toml";
    let config = format!("setup: ['{}']\n", setup.replace("~/kept", "$CARGO_HOME").replace('\'', "''"));
    let repo = Arena { config, ..Arena::default() }.build();
    let test =
        "#!/bin/sh\ncat ~/.cargo/registry/* $CARGO_HOME/registry/* | tr '\\n' ' ' | grep -q '^new over new over $'\n";
    repo.write("tests/run.sh", test);
    repo.commit("tests that want what was fetched");
    for home in [".cargo", "kept"] {
        std::fs::create_dir_all(repo.home().join(home).join("registry")).unwrap();
        std::fs::write(repo.home().join(home).join("registry/old"), "old\n").unwrap();
        std::fs::write(repo.home().join(home).join("credentials.toml"), "canary\n").unwrap();
    }
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    command.args(["run", DOCUMENT]).env("CARGO_HOME", repo.home().join("kept"));
    let done = Done::of(command.output().unwrap()).ends_with(0);
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20", "{}{}", done.out, done.err);
    for home in [".cargo", "kept"] {
        let left: Vec<_> = std::fs::read_dir(repo.home().join(home).join("registry")).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(std::fs::read_to_string(left[0].path()).unwrap(), "old\n");
    }
}

#[test]
fn programs_of_the_path_find_what_they_are_installed_with_and_what_lies_beside_stays_hidden() {
    let repo = Arena {
        config: "setup: [\"tool && other && ! cat ~/own/secret ~/.kept/secret\"]\n".to_owned(),
        ..Arena::default()
    }
    .build();
    let write = |path: &str, text: &str| {
        let path = repo.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    write("own/venv/bin/tool", "#!/bin/sh\ncat \"${0%/*}/../lib/it\"\n");
    write("own/venv/lib/it", "it\n");
    write("own/venv/pyvenv.cfg", "home = /usr/bin\n");
    write("own/secret", "canary\n");
    write("own/web/node_modules/pack/cli", "#!/bin/sh\necho other\n");
    std::fs::create_dir_all(repo.home().join("own/web/node_modules/.bin")).unwrap();
    std::os::unix::fs::symlink("../pack/cli", repo.home().join("own/web/node_modules/.bin/other")).unwrap();
    write(".kept/bin/third", "#!/bin/sh\n");
    write(".kept/lib/it", "it\n");
    write(".kept/secret", "canary\n");
    let folders = ["own/venv/bin", "own/web/node_modules/.bin", ".kept/bin"].map(|folder| repo.home().join(folder));
    let usual = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&usual))).unwrap();
    let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
    let done = Done::of(command.args(["run", DOCUMENT]).env("PATH", path).output().unwrap()).ends_with(0);
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20", "{}{}", done.out, done.err);
}

/// Greets whoever connects to a port of this machine.
fn greeter() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(std::io::Write::write_all(&mut stream, b"greeted\n"));
        }
    });
    port
}

/// A program that says what a server on loopback says first, or `refused`.
const CONNECT: &str = "import socket, sys\n\
    try: print(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 9).recv(99).decode())\n\
    except OSError: print('refused')\n";

#[test]
fn set_up_reaches_what_the_configuration_names_and_nobody_else_reaches_anything() {
    let (named, other) = (greeter(), greeter());
    let repo = everywhere(&format!("python3 connect.py {named}; python3 connect.py {other}"));
    repo.write("connect.py", CONNECT);
    let config = repo.read("blueprint.yaml").replace("protect: [", "protect: [connect.py, ");
    let read = |text: &str, more: &str| text.replacen(TELLS, &TELLS.replacen('}', more, 1), 1);
    repo.write("blueprint.yaml", &read(&config, &format!(", network: [\"127.0.0.1:{named}\"]}}")));
    repo.commit("what is reached");
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(plan.out.contains(&format!("set-up and builds reach 127.0.0.1:{named}")), "{}", plan.out);
    lands(&repo);
    for (who, text) in said(&repo) {
        let first = if who.starts_with("setup") { "greeted\n\nrefused\n" } else { "refused\nrefused\n" };
        assert_eq!(text.replacen(first, "", text.len()), "", "{who}: {text}");
    }
    let journal = std::fs::read(repo.root().join(".git/blueprint/journal.db")).unwrap();
    let address = format!("127.0.0.1:{named}");
    assert!(journal.windows(address.len()).any(|part| part == address.as_bytes()));
}

#[test]
fn set_up_that_fails_for_want_of_a_host_says_which_and_where_to_name_it() {
    let repo = everywhere("true");
    let config = "setup: [\"python3 -c 'import socket; socket.create_connection((\\\"packages.example\\\", 443))'\"]";
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("setup: [\"sh all.sh setup\"]", config));
    repo.commit("set-up");
    repo.blueprint(&["run", DOCUMENT]).ends_with(1).says(&["it asked for `packages.example`", "`sandbox.network`"]);
}

#[test]
fn where_the_network_is_shared_everybody_reaches_what_this_machine_reaches_and_the_plan_says_so() {
    let port = greeter();
    let repo = everywhere(&format!("python3 connect.py {port}"));
    repo.write("connect.py", CONNECT);
    let config = repo.read("blueprint.yaml").replace("protect: [", "protect: [connect.py, ");
    repo.write("blueprint.yaml", &config.replacen(TELLS, &TELLS.replacen('}', ", network: shared}", 1), 1));
    repo.commit("what is reached");
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(plan.out.contains("`sandbox.network` is `shared`"), "{}", plan.out);
    lands(&repo);
    for (who, text) in said(&repo) {
        assert_eq!(text.replacen("greeted\n\n", "", text.len()), "", "{who}: {text}");
    }
}

#[test]
fn tests_that_want_one_port_run_side_by_side() {
    let repo = everywhere("true");
    let test = "#!/bin/sh\npython3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", 47115)); time.sleep(2)'\n";
    repo.write("tests/run.sh", test);
    repo.commit("a fixed port");
    let done = lands(&repo);
    assert!(!done.err.contains("port taken"), "{}", done.err);
}

#[test]
fn an_agent_that_asks_for_a_host_that_is_not_reached_is_told_of() {
    let repo = everywhere("test $1 = agent && getent hosts telemetry.example; true");
    let done = lands(&repo);
    assert_eq!(done.err.matches("its agent asked for `telemetry.example`").count(), 1, "{}", done.err);
}

#[test]
fn a_variant_that_uses_more_of_the_machine_than_it_may_is_out_with_what_it_used_and_the_others_go_on() {
    for (line, why) in [
        ("truncate -s 5G sparse; sleep 100", "one of its files was 5 GiB long"),
        ("for i in $(seq 100); do sleep 100 & done; sleep 100", "`sandbox.limits.processes` is 60"),
    ] {
        let repo = everywhere("true");
        let limits = TELLS.replacen('}', ", limits: {processes: 60}}", 1);
        repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replacen(TELLS, &limits, 1));
        repo.write("tests/run.sh", &format!("#!/bin/sh\ntest \"$(cat cost.txt)\" != 60 || {{ {line}; }}\n"));
        repo.commit("too much");
        let done = lands(&repo);
        assert!(done.out.contains("B is out") && done.out.contains(why), "{line}: {}{}", done.out, done.err);
    }
}
