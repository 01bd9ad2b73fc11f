//! One variant's trouble is its own: work that was not carried out, and trees that an agent moved away.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

/// An arena with a second work item, whose agent is this script.
fn arena(script: &str, config: &str, budget: &str) -> Repo {
    let agent = "{command: \"sh agent.sh\"}".to_owned();
    let arena = Arena { agent, config: config.to_owned(), budget: budget.to_owned(), ..Arena::default() };
    let repo = arena.build();
    let second = "### The notes\n\n**Files**: notes/**\n**Diff Contract**: patch\n\n## Evaluation Criteria";
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("## Evaluation Criteria", second));
    repo.write("agent.sh", script);
    repo.commit("an agent");
    repo
}

const TIME: &str = "- Time cap: 15 minutes\n";

/// A fails in the item named by its number; B carries out both.
fn failing_in(item: u32) -> String {
    format!(
        "mkdir -p notes; echo $BLUEPRINT_STEP > notes/$BLUEPRINT_STEP\n\
         case $BLUEPRINT_VARIANT in\n\
         A) echo 20 > cost.txt; test $BLUEPRINT_STEP != {item} || exit 7;;\n\
         *) echo 60 > cost.txt;;\nesac\n"
    )
}

fn report(repo: &Repo) -> serde_json::Value {
    serde_json::from_str(&repo.blueprint(&["report", "--json"]).ends_with(0).out).unwrap()
}

#[test]
fn a_variant_of_which_a_work_item_was_not_carried_out_is_out_with_the_items_named_and_its_work_is_kept() {
    for (item, missing) in [(1, "`The cost` and `The notes`"), (2, "`The notes`")] {
        let repo = arena(&failing_in(item), "", TIME);
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "60\n", "B lands");
        assert!(done.out.contains(&format!("A is out: unfinished: {missing} w")), "{item}: {}", done.out);
        assert!(done.out.contains("7"), "the agent's end is not told: {}", done.out);
        let kept = report(&repo)["rows"][0]["kept_ref"].as_str().unwrap().to_owned();
        assert_eq!(repo.git(&["show", &format!("{kept}:cost.txt")]), "20");
    }
}

#[test]
fn unfinished_work_competes_where_that_is_allowed_and_is_marked_wherever_it_is_named() {
    let repo = arena(&failing_in(2), "unfinished: judge\n", TIME);
    let plan = repo.blueprint(&["plan", DOCUMENT]).ends_with(0);
    assert!(plan.out.contains("may land of which work items were not carried out"), "{}", plan.out);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
    assert!(done.out.contains("(unfinished)") && done.out.contains("without `The notes`"), "{}", done.out);
    assert!(repo.git(&["log", "-1", "--format=%B", "main"]).contains("Not carried out: `The notes`."));
    assert!(repo.read(DOCUMENT).contains("unfinished, without"), "{}", repo.read(DOCUMENT));
}

#[test]
fn a_spent_step_cap_ends_the_step_and_the_next_item_goes_on_with_its_own() {
    let script = "echo \"$BLUEPRINT_VARIANT $BLUEPRINT_STEP\" >> \"$HOME/told/steps\"\nmkdir -p notes; echo 20 > cost.txt\n\
        echo $BLUEPRINT_STEP > notes/$BLUEPRINT_STEP\n\
        test $BLUEPRINT_STEP != 1 || { echo '{\"input_tokens\": 1200, \"output_tokens\": 0}' > \"$BLUEPRINT_USAGE\"; sleep 60; }\n";
    let caps = "- Max tokens per step: 1000\n- Session token cap: 10000\n- Time cap: 15 minutes\n";
    let repo = arena(script, "", caps);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(5);
    let steps = std::fs::read_to_string(repo.told("steps")).unwrap();
    assert_eq!(steps.lines().filter(|line| line.ends_with('2')).count(), 2, "{steps}");
    assert!(done.out.contains("A is out: unfinished: `The cost` was not carried out"), "{}", done.out);
}

/// Steps as they were begun, in order, by variant.
fn steps(repo: &Repo, variant: &str) -> Vec<String> {
    let all = std::fs::read_to_string(repo.told("steps")).unwrap_or_default();
    all.lines().filter_map(|line| line.strip_prefix(variant)).map(|step| step.trim().to_owned()).collect()
}

/// Notes each step; the second of A and B spends what it may and is stopped, until there is more.
const GREEDY: &str = "echo \"$BLUEPRINT_VARIANT $BLUEPRINT_STEP\" >> \"$HOME/told/steps\"\nmkdir -p notes\n\
    case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n\
    echo \"again $BLUEPRINT_STEP\" >> notes/$BLUEPRINT_STEP\n\
    test $BLUEPRINT_STEP = 1 && used=100 || used=1200\n\
    echo \"{\\\"input_tokens\\\": $used, \\\"output_tokens\\\": 0}\" > \"$BLUEPRINT_USAGE\"\n\
    test $BLUEPRINT_STEP = 1 || test \"$BLUEPRINT_TOKENS\" -gt 1200 || sleep 60\n";

#[test]
fn unfinished_variants_go_on_with_a_larger_cap_from_where_they_are_and_no_step_is_repeated() {
    let caps = "- Max tokens per step: 1000\n- Session token cap: 100000\n- Time cap: 3 minutes\n";
    let repo = arena(GREEDY, "", caps);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(5);
    assert!(done.out.contains("A is out: unfinished: `The notes`"), "{}", done.out);
    let done = done.says(&["--step-cap"]);
    let run = report(&repo)["run"].as_str().unwrap().to_owned();
    assert!(done.err.contains(&format!("blueprint resume {run} --session-cap")), "{}", done.err);
    assert_eq!(
        (steps(&repo, "A"), steps(&repo, "B")),
        (vec!["1".to_owned(), "2".to_owned()], vec!["1".to_owned(), "2".to_owned()])
    );
    // What would change nothing is refused.
    repo.blueprint(&["resume", "--session-cap", "2_000"]).ends_with(4).says(&["tokens are spent"]);
    repo.blueprint(&["resume", "--time-cap", "50ms"]).ends_with(4).says(&["so far"]);
    repo.blueprint(&["resume", "--step-cap", "many"]).ends_with(2);
    let done = repo.blueprint(&["resume", "--step-cap", "5000"]).ends_with(0);
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20", "{}", done.out);
    for variant in ["A", "B"] {
        assert_eq!(steps(&repo, variant), ["1", "2", "2"], "only what was cut is begun again");
    }
    // It went on from where it was: what the first time left is still there.
    assert_eq!(repo.git(&["show", "main:notes/1"]), "again 1");
    assert_eq!(repo.git(&["show", "main:notes/2"]), "again 2\nagain 2");
    let told = report(&repo);
    assert_eq!(told["tokens"]["spent"].as_u64(), Some(2 * (100 + 1200 + 1200)), "{}", told["tokens"]);
    repo.blueprint(&["resume", &run, "--step-cap", "9000"]).ends_with(4).says(&["it has landed"]);
    repo.blueprint(&["resume", "--step-cap", "9000"]).ends_with(4).says(&["blueprint status"]);
    let replayed = repo.blueprint(&["report", "--replay", &run]);
    replayed.ends_with(0);
}

#[test]
fn a_variant_that_goes_on_competes_with_one_that_was_ready_and_did_not_land() {
    // B carries out both items; A's agent fails in the second until somebody says that it may go on.
    let script = "echo \"$BLUEPRINT_VARIANT $BLUEPRINT_STEP\" >> \"$HOME/told/steps\"; mkdir -p notes; echo $BLUEPRINT_STEP > notes/$BLUEPRINT_STEP\n\
        case $BLUEPRINT_VARIANT in\nA) echo 20 > cost.txt; test $BLUEPRINT_STEP = 1 || test -e \"$HOME/told/go\" || exit 7;;\n\
        *) echo 60 > cost.txt;;\nesac\n";
    let repo = arena(script, "", TIME);
    repo.blueprint(&["run", "--merge", "none", DOCUMENT]).ends_with(0);
    std::fs::write(repo.told("go"), "").unwrap();
    let done = repo.blueprint(&["resume", "--time-cap", "20m"]).ends_with(0);
    assert!(done.out.contains("A wins"), "{}", done.out);
    assert_eq!(
        (steps(&repo, "A"), steps(&repo, "B")),
        (vec!["1".to_owned(), "2".to_owned(), "2".to_owned()], vec!["1".to_owned(), "2".to_owned()])
    );
}

/// Agent A replaces something of its worktree at the end of its first step; B works well.
fn replaced_by(how: &str) -> Repo {
    let script = format!(
        "case $BLUEPRINT_VARIANT in\nA) echo 20 > cost.txt; W=$PWD; R=$HOME/../repo/.git; \
         cd /; {how};;\n*) echo 60 > cost.txt;;\nesac\n"
    );
    // What is looked at is who is out, not how sure the verdict is on a busy machine.
    let config = "land: {require: leader}\nsandbox: off\n".to_owned();
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), config, ..Arena::default() }.build();
    repo.write("agent.sh", &script);
    repo.commit("an agent");
    let precious = repo.home().join("precious/work");
    std::fs::create_dir_all(&precious).unwrap();
    std::fs::write(precious.join("key"), "secret\n").unwrap();
    std::fs::write(repo.home().join("precious/key"), "secret\n").unwrap();
    repo
}

#[test]
fn a_worktree_that_was_replaced_puts_its_variant_out_and_nothing_behind_a_link_is_taken_or_touched() {
    let ways = [
        ("mv $W $W.moved; ln -s $HOME/precious $W", "its worktree was replaced by a link"),
        (
            "mv $W $W.moved; mkdir $W; cp $W.moved/.git $W; echo 1 > $W/cost.txt",
            "its worktree was replaced by another directory",
        ),
        ("rm -rf $W", "its worktree was removed"),
        ("rm -rf $W; echo x > $W", "its worktree was replaced by a file"),
        ("echo \"gitdir: $R\" > $W/.git", "has another `.git` than it had"),
        ("rm $W/.git; ln -s $R $W/.git", "has another `.git` than it had"),
        ("D=$(dirname $W); mv $D $D.moved; ln -s $HOME/precious $D", "its directory was replaced by a link"),
        (
            "D=$(dirname $W); mv $D/scratch $D/s; ln -s $HOME/precious $D/scratch",
            "its scratch directory was replaced by a link",
        ),
    ];
    for (how, told) in ways {
        let repo = replaced_by(how);
        let precious = common::tree(&repo.home().join("precious"));
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "60\n", "{how}: B lands");
        assert!(done.out.contains("A is out") && done.out.contains(told), "{how}: {}", done.out);
        assert_eq!(common::tree(&repo.home().join("precious")), precious, "{how}");
        for reference in repo.git(&["for-each-ref", "--format=%(refname)"]).lines() {
            let files = repo.git(&["ls-tree", "-r", "--name-only", reference]);
            assert!(!files.lines().any(|file| file.ends_with("key")), "{how}: {reference} has {files}");
        }
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "{how}");
        assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1, "{how}: a worktree is left");
        let left = common::tree(&repo.dir.path().join("cache"));
        assert!(left.is_empty(), "{how}: {left:?}");
    }
}

#[test]
fn a_judged_tree_that_was_replaced_puts_its_variant_out() {
    let config = "land: {require: leader}\nsandbox: off\n".to_owned();
    let repo = Arena { config, ..Arena::default() }.build();
    let test = "#!/bin/sh\ncost=$(cat cost.txt)\nif [ \"$cost\" = 20 ]; then W=$PWD; cd /; mv $W $W.moved; \
        ln -s $HOME/precious $W; fi\ntest \"$cost\" -lt 1000\n";
    repo.write("tests/run.sh", test);
    repo.commit("a test that moves its tree");
    std::fs::create_dir_all(repo.home().join("precious")).unwrap();
    std::fs::write(repo.home().join("precious/cost.txt"), "1\n").unwrap();
    let before = common::tree(&repo.home());
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(
        done.out.contains("A is out") && done.out.contains("its judged tree was replaced by a link"),
        "{}",
        done.out
    );
    assert_eq!((repo.read("cost.txt").as_str(), common::tree(&repo.home())), ("60\n", before));
}

#[test]
fn work_that_cannot_be_taken_over_puts_its_variant_out_and_the_others_go_on() {
    let how = "mkdir -p $W/notes/x; cd $W/notes/x; git init -q; echo 1 > f; git add f; \
        git -c user.name=a -c user.email=a@l commit -qm x";
    let repo = replaced_by(how);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n");
    assert!(done.out.contains("A is out: its work can't be taken over: `notes/x`"), "{}", done.out);
}

#[test]
fn what_gits_filters_and_encodings_refuse_puts_its_variant_out_and_the_others_go_on() {
    let strict = |which: &str| {
        let program = "sh -c 'read -r line; case $line in bad*) exit 3;; esac; echo \"$line\"'";
        format!(
            "git config filter.strict.{which} \"{}\"; git config filter.strict.required true",
            program.replace('"', "\\\"").replace('$', "\\$")
        )
    };
    let (clean, smudge) = (strict("clean"), strict("smudge"));
    let ways = [
        ("notes/bad* working-tree-encoding=UTF-16", "", "echo no mark > $W/notes/bad", "BOM is"),
        ("notes/bad* working-tree-encoding=nonsense", "", "echo x > $W/notes/bad", "failed to encode"),
        ("notes/bad* filter=strict", clean.as_str(), "echo bad > $W/notes/bad", "strict"),
        ("notes/bad* filter=strict", smudge.as_str(), "echo bad > $W/notes/bad", "strict"),
        (
            "notes/bad* filter=lost",
            "git config filter.lost.clean /no/such/program; git config filter.lost.required true",
            "echo x > $W/notes/bad",
            "lost",
        ),
        (
            "notes/bad* text eol=lf",
            "git config core.safecrlf true",
            "printf 'x\\r\\n' > $W/notes/bad",
            "CRLF would be replaced",
        ),
        ("", "", "rm $W/cost.txt; mkfifo $W/cost.txt", "cost.txt"),
    ];
    for (attributes, configure, how, told) in ways {
        let repo = replaced_by(&format!("mkdir -p $W/notes; {how}"));
        repo.write(".git/info/attributes", &format!("{attributes}\n"));
        assert!(repo.command("sh").args(["-c", configure]).status().unwrap().success());
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), "60\n", "{how}: B lands: {}", done.out);
        assert!(done.out.contains("A is out") && done.out.contains(told), "{attributes}: {how}: {}", done.out);
    }
}

#[test]
fn what_would_make_the_repository_much_larger_is_not_taken_over_and_nothing_of_it_is_in_its_objects() {
    let large = "head -c 120M /dev/urandom >";
    let ways = [
        (format!("{large} $W/notes/large"), true),
        (format!("{large} $W/notes/log"), true),
        ("for i in 1 2 3 4 5 6; do head -c 20M /dev/urandom > $W/notes/$i; done".to_owned(), true),
        (format!("cd $W; {large} notes/x; git add .; git commit -qm x; git rm -q notes/x; git commit -qm y"), false),
        ("head -c 20M /dev/urandom > $W/notes/large".to_owned(), false),
    ];
    for (how, is_out) in ways {
        let repo = replaced_by(&format!("mkdir -p $W/notes; {how}"));
        repo.write("notes/log", "one\n");
        repo.commit("a log");
        let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
        assert_eq!(done.out.contains("it would add 1"), is_out, "{how}: {}", done.out);
        assert_eq!(repo.read("cost.txt"), if is_out { "60\n" } else { "20\n" }, "{how}: {}", done.out);
        let git = common::tree(&repo.root().join(".git")).into_iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        assert!(git < 50 << 20, "{how}: {git} bytes");
    }
}

/// Runs the program as an ordinary user, whom permissions keep from something.
fn as_an_ordinary_user(repo: &Repo, arguments: &[&str]) -> common::Done {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        return repo.blueprint(arguments);
    }
    let own = repo.dir.path().join("bp");
    std::fs::copy(env!("CARGO_BIN_EXE_blueprint"), &own).unwrap();
    let given = repo.command("chown").args(["-R", "65534:65534"]).arg(repo.dir.path()).status().unwrap();
    assert!(given.success());
    let mut command = repo.command(&own);
    common::Done::of(command.uid(NOBODY).gid(NOBODY).args(arguments).output().unwrap())
}

#[test]
fn what_an_agent_made_unreadable_or_read_only_puts_it_out_at_most_and_is_gone_afterwards() {
    let ways = [
        ("echo k > $W/notes/key; chmod 000 $W/notes/key", "60\n"),
        ("mkdir $W/notes/x; echo k > $W/notes/x/key; chmod 000 $W/notes/x", "60\n"),
        ("echo x > $W/tests/new; chmod 000 $W/tests", "60\n"),
        ("mkdir -p $W/notes/x/y; echo k > $W/notes/x/y/key; chmod 555 $W/notes/x/y $W/notes/x", "20\n"),
    ];
    for (how, lands) in ways {
        let repo = replaced_by(&format!("mkdir -p $W/notes; {how}"));
        let done = as_an_ordinary_user(&repo, &["run", DOCUMENT]).ends_with(0);
        assert_eq!(repo.read("cost.txt"), lands, "{how}: {}", done.out);
        assert_eq!(done.out.contains("A is out: its work can't be taken over"), lands == "60\n", "{how}: {}", done.out);
        let left = common::tree(&repo.dir.path().join("cache"));
        assert!(left.is_empty(), "{how}: {left:?}");
    }
}

#[test]
fn tests_that_print_more_than_is_kept_count_by_their_exit_status() {
    let repo = Arena { config: "land: {require: leader}\n".to_owned(), ..Arena::default() }.build();
    repo.write(
        "tests/run.sh",
        "#!/bin/sh\nyes 'no report of any kind' | head -c 80000000\ntest \"$(cat cost.txt)\" != 20\n",
    );
    repo.commit("much output");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("A is out: test failed: sh tests/run.sh"), "{}", done.out);
    assert_eq!(repo.read("cost.txt"), "60\n");
    assert!(done.out.len() + done.err.len() < 200_000, "what was printed is shown");
}

#[test]
fn a_variant_whose_tests_hang_is_out_and_the_others_go_on() {
    let repo = Arena::default().build();
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -ne 20 || exec sleep 600\n");
    repo.commit("a test that hangs for A");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}", done.out);
    done.says(&[
        "A is out: test failed: sh tests/run.sh: it takes more than 10 times as long as the baseline's longest",
    ]);
}

#[test]
fn tests_that_hang_on_the_baseline_end_with_the_time_cap() {
    let budget = format!("- Time cap: {} seconds\n", common::seconds_here(8));
    let arena = Arena { budget, ..Arena::default() };
    let repo = arena.build();
    repo.write("tests/run.sh", "#!/bin/sh\nexec sleep 600\n");
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", "budget: 2s"));
    repo.commit("a test that hangs");
    let began = std::time::Instant::now();
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(1);
    done.says(&["the baseline can't be judged", "sh tests/run.sh: the run's time cap ended in the middle of it"]);
    assert!(began.elapsed() < std::time::Duration::from_secs(300), "{:?}", began.elapsed());
}

#[test]
fn a_variant_that_hangs_while_it_is_measured_is_out_in_its_first_slice_and_time_is_left_for_the_others() {
    let repo = Arena::default().build();
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace("budget: 60s", "budget: 30s"));
    let hangs = "test \"$(cat cost.txt)\" -ne 20 || exec sleep 600\n";
    repo.write("bench/cost.sh", &repo.read("bench/cost.sh").replacen('\n', &format!("\n{hangs}"), 1));
    repo.commit("a benchmark that hangs for A");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}", done.out);
    done.says(&["A is out: ", "it takes more than 10 times as long as the baseline's longest"]);
}
