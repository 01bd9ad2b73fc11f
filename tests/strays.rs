//! Nothing of what is measured goes on beside what is measured next, and nothing can tell that it is measured.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use common::arena::{Arena, DOCUMENT};
use common::{Repo, TELLS};

/// Leaves its group, its session and its environment, and goes on as `sleep` for as long as it is told.
const DAEMON: &str = "import os, sys\n\
    if os.fork(): os.wait(); os._exit(0)\n\
    os.setsid()\n\
    if os.fork(): os._exit(0)\n\
    null = os.open('/dev/null', os.O_RDWR)\n\
    for fd in range(3): os.dup2(null, fd)\n\
    os.execve('/bin/sleep', ['sleep', sys.argv[1]], {})\n";

/// An arena whose benchmark does this first, and its tests that.
fn arena(benchmark: &str, tests: &str) -> Repo {
    let repo = Arena { costs: vec![("A", 20), ("B", 60)], ..Arena::default() }.build();
    repo.write("bench/daemon.py", DAEMON);
    repo.write("bench/cost.sh", &format!("{benchmark}\n{}", repo.read("bench/cost.sh")));
    repo.write("tests/run.sh", &format!("{tests}\n{}", repo.read("tests/run.sh")));
    repo.commit("what it does first");
    repo
}

/// Whether a program with this argument runs anywhere on this machine.
fn runs(argument: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

#[test]
fn a_variant_whose_slices_leave_a_daemon_is_out_and_the_daemon_is_named_and_gone() {
    let repo = arena("test \"$(cat cost.txt)\" != 20 || python3 bench/daemon.py 174.25", "");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let said = format!("{}{}", done.out, done.err);
    assert!(said.contains("left `sleep 174.25`") && said.contains("running after `sh bench/cost.sh`"), "{said}");
    assert_eq!(repo.read("cost.txt"), "60\n", "{said}");
    assert!(!runs("174.25"));
}

#[test]
fn a_daemon_of_the_code_as_it_is_ends_the_run_with_the_command_that_left_it() {
    let repo = arena("test \"$(cat cost.txt)\" != 90 || python3 bench/daemon.py 175.25", "");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(1);
    done.says(&["left `sleep 175.25`", "sh bench/cost.sh", "baseline"]);
    assert!(!runs("175.25"));
}

#[test]
fn a_daemon_of_the_tests_is_gone_before_anything_is_measured_and_nobody_is_out_for_it() {
    let benchmark = "ps -eo args | grep -q '^sleep 176.2[5]' && exit 9";
    let repo = arena(benchmark, "python3 bench/daemon.py 176.25");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let said = format!("{}{}", done.out, done.err);
    assert!(said.contains("set-up or tests left `sleep 176.25`"), "{said}");
    assert_eq!(repo.read("cost.txt"), "20\n", "{said}");
}

#[test]
fn a_report_names_what_tests_left_running_with_their_output_open() {
    // It is away from the script's group before the script ends: what is left of that group is killed.
    let repo = arena("", "setsid sleep 177.25 &\nuntil grep -qa ^sleep /proc/$!/cmdline; do sleep 0.01; done");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let leak = "`sh tests/run.sh` left `sleep 177.25` running, which keeps its output open";
    for who in ["baseline", "A", "B"] {
        assert!(done.out.contains(&format!("{who}: {leak}")), "{who}: {}", done.out);
    }
    let report = repo.blueprint(&["report", "--json"]).ends_with(0).out;
    assert!(report.contains(&serde_json::to_string(leak).unwrap()), "{report}");
    assert!(!runs("177.25"));
}

#[test]
fn tests_and_slices_are_told_the_same_variables_in_the_same_form() {
    // Names, and values without what is random in them.
    let told = |file: &str| {
        format!(
            "env | grep -v '^\\(PWD\\|OLDPWD\\|SHLVL\\|_\\)=' | sed -e 's/x-[0-9a-f]*/x-N/' -e 's/\\(SEED=\\).*/\\1N/' \
             | sort > \"$HOME/told/{file}-${{BLUEPRINT_LEASE##*/}}\""
        )
    };
    let works = "echo x > \"$BLUEPRINT_METRICS\" && echo x > \"$BLUEPRINT_JUNIT.own\" && mkdir -p \"$CRITERION_HOME\" || exit 9";
    let repo = arena(&told("slice"), &format!("{}\n{works}", told("test")));
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    for lease in ["a_judge", "baseline_judge", "shadow_judge"] {
        let read = |file: &str| std::fs::read_to_string(repo.told(format!("{file}-{lease}"))).unwrap();
        let (test, slice) = (read("test"), read("slice"));
        assert!(test.contains("BLUEPRINT_SEED=N\n") && test.contains("/x-N/metrics.jsonl\n"), "{test}");
        assert_eq!(test, slice, "{lease}");
    }
}

#[test]
fn a_variant_that_changes_the_code_in_another_s_tree_is_out_and_what_it_changed_is_put_back() {
    let tampers = "test \"$(cat cost.txt)\" != 60 || for tree in ../../*_judge/tree; do \
        test \"$(cat $tree/cost.txt)\" != 20 || echo 80 > $tree/cost.txt; done";
    let repo = arena(tampers, "");
    // Within walls there is no other tree.
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(TELLS, "sandbox: off\n"));
    repo.commit("no walls");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(done.out.contains("B is out: invalid measurement: changed cost.txt in the tree of A"), "{}", done.out);
    assert_eq!(repo.read("cost.txt"), "20\n");
}

#[test]
fn what_a_slice_keeps_among_its_temporary_files_is_not_there_in_the_next() {
    let keeps = "test -d \"$TMPDIR\" || exit 8; test -z \"$(ls -A \"$TMPDIR\")\" || exit 9; echo 1 > \"$TMPDIR/kept\"";
    let repo = arena(keeps, "echo 1 > \"$TMPDIR/kept\"");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
}

#[test]
fn a_variant_that_leaves_its_work_to_a_child_takes_as_long_as_the_child() {
    let repo = Arena { costs: vec![("A", 20), ("B", 60)], ..Arena::default() }.build();
    // A's program returns at once, and its child is done long before anybody would look for it.
    let work = "import os, sys, time\ncost = int(open('cost.txt').read())\nif cost == 20 and os.fork():\n    os._exit(0)\n\
        if cost == 20:\n    os.setsid()\n    cost = 100\ntime.sleep(cost / 1000)\n";
    repo.write("bench/work.py", work);
    let command = "{from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    repo.write(
        "blueprint.yaml",
        &repo.read("blueprint.yaml").replace(command, "{from: time, run: python3 bench/work.py}"),
    );
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("<80ms", "<900ms"));
    repo.commit("the fastest leaves its work to a child");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}{}", done.out, done.err);
}

#[test]
fn who_prints_something_else_than_the_code_as_it_is_is_out_where_what_is_printed_is_the_answer() {
    let repo = Arena { costs: vec![("A", 20), ("B", 60)], ..Arena::default() }.build();
    repo.write("bench/work.sh", "c=$(cat cost.txt)\nsleep 0.0$c\ntest \"$c\" = 20 && echo 41 || echo 42\n");
    let command = "{from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}";
    let time = "{from: time, run: sh bench/work.sh, output: stdout}";
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(command, time));
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("<80ms", "<900ms"));
    repo.commit("the fastest answers wrongly");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let said = format!("{}{}", done.out, done.err);
    assert!(said.contains("the output differs from the baseline's: `41` instead of `42`"), "{said}");
    assert_eq!(repo.read("cost.txt"), "60\n", "{said}");
}
