//! Runs on kinds of repositories as they really are: whatever git itself can do in one works, and what does not is
//! refused before anything is spent, in one sentence with a way out.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::arena::{Arena, DOCUMENT};
use common::{Done, Repo};

const COST: &str = "case $BLUEPRINT_VARIANT in A) echo 20;; *) echo 60;; esac > cost.txt\n";

/// An arena whose agent is this script.
fn with_agent(script: &str) -> Repo {
    let repo = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() }.build();
    repo.write("agent.sh", script);
    repo.commit("an agent");
    repo
}

/// The same with an agent that nothing keeps from the repository.
fn with_a_free_agent(script: &str) -> Repo {
    let repo = with_agent(script);
    repo.write("blueprint.yaml", &repo.read("blueprint.yaml").replace(common::TELLS, "sandbox: off\n"));
    repo.commit("no walls");
    repo
}

/// With a second work item.
fn with_two_steps(script: &str) -> Repo {
    let repo = with_agent(script);
    let second = "### Notes\n\n**Files**: cost.txt, notes/**\n**Diff Contract**: patch\n\n## Evaluation Criteria";
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("## Evaluation Criteria", second));
    repo.commit("two work items");
    repo
}

/// What main has must be the winner's, the checkout clean, and nothing left.
#[track_caller]
fn landed(repo: &Repo) {
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20");
    assert!(repo.git(&["show", &format!("main:{DOCUMENT}")]).contains("**Status**: completed"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    left_nothing(repo);
}

#[track_caller]
fn left_nothing(repo: &Repo) {
    assert_eq!(repo.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(repo.git(&["for-each-ref", "refs/heads/blueprint/"]), "");
}

/// What the agent of a variant wrote into a file of its home.
fn seen(repo: &Repo, file: &str) -> String {
    std::fs::read_to_string(repo.told(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_step_begins_with_a_clean_checkout_of_what_the_step_before_it_left() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then {COST} echo new > notes.new; mkdir notes; mv notes.new notes/new; exit; fi\n\
         (git status --porcelain; git symbolic-ref HEAD; git diff HEAD --stat; git ls-files notes) > \"$HOME/told/$BLUEPRINT_VARIANT\"\n\
         echo 999 > cost.txt; git checkout -q -- cost.txt; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    let seen = seen(&repo, "A");
    let lines: Vec<_> = seen.lines().collect();
    assert!(matches!(lines[..], [head, "notes/new"] if head.starts_with("refs/heads/blueprint/")), "{seen}");
    assert_eq!(repo.git(&["ls-tree", "-r", "--name-only", "main", "notes"]), "notes/n\nnotes/new");
}

#[test]
fn an_agent_that_left_its_branch_staged_half_and_stopped_in_a_merge_finds_its_branch_again() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then git checkout -q -b side-$BLUEPRINT_VARIANT; {COST} git add cost.txt\n\
         git commit -qm mine; git checkout -q --detach HEAD~1; echo 7 > cost.txt; git commit -qam other\n\
         git merge -q side-$BLUEPRINT_VARIANT; {COST} exit 0; fi\n\
         (git status --porcelain; git symbolic-ref HEAD; git merge HEAD; git stash list; git diff HEAD) \
         > \"$HOME/told/$BLUEPRINT_VARIANT\" 2>&1\nmkdir -p notes; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    let seen = seen(&repo, "A");
    let lines: Vec<_> = seen.lines().collect();
    assert!(matches!(lines[..], [head, "Already up to date."] if head.starts_with("refs/heads/blueprint/")), "{seen}");
}

#[test]
fn what_set_up_changed_is_still_there_in_the_next_step_and_is_not_the_agents() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then {COST} exit; fi\ngit status --porcelain > \"$HOME/told/$BLUEPRINT_VARIANT\"\n\
         mkdir -p notes; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.write("made.lock", "1\n");
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "setup: [\"echo 2 > made.lock; echo x > left\"]\n"));
    repo.commit("set-up writes");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    assert_eq!(seen(&repo, "A"), " M made.lock\n?? left\n");
    assert_eq!(repo.git(&["show", "main:made.lock"]), "1");
}

#[test]
fn in_a_sparse_checkout_steps_see_what_is_left_out_as_unchanged_and_so_does_recorded_work() {
    let script = format!(
        "if [ $BLUEPRINT_STEP = 1 ]; then {COST} exit; fi\n\
         (git status --porcelain; git ls-files -t huge) > \"$HOME/told/$BLUEPRINT_VARIANT\"; mkdir -p notes; echo n > notes/n\n"
    );
    let repo = with_two_steps(&script);
    repo.write("huge/file", "x\n");
    repo.commit("huge");
    repo.git(&["sparse-checkout", "set", "docs", "tests", "bench", "recorded"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    assert_eq!(seen(&repo, "A"), "S huge/file\n");

    let repo = Arena::default().build();
    repo.write("huge/file", "x\n");
    repo.commit("huge");
    repo.git(&["sparse-checkout", "set", "docs", "tests", "bench", "recorded"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    assert_eq!(repo.git(&["show", "main:huge/file"]), "x");
    assert!(!repo.root().join("huge").exists(), "the checkout was widened");
}

#[test]
fn names_of_files_are_bytes_and_need_not_be_text() {
    let named = |name: &[u8]| OsStr::from_bytes(name).to_owned();
    let script = format!("{COST}mkdir -p notes; echo n > \"$(printf 'notes/caf\\351.txt')\"; echo n > 'notes/\"ü ✓'\n");
    let repo = with_agent(&script);
    for name in [&b"tests/caf\xe9.txt"[..], b"tests/two\nlines", b"na\xefve.md", b"quo\"te.md", b"back\\slash\t"] {
        std::fs::write(repo.root().join(named(name)), "x").unwrap();
    }
    let exam = "#!/bin/sh\ntest -e \"$(printf 'tests/caf\\351.txt')\" && test \"$(cat cost.txt)\" -lt 1000\n";
    repo.write("tests/run.sh", exam);
    repo.commit("names");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
    let notes = repo.command("git").args(["ls-tree", "-r", "-z", "--name-only", "main", "notes"]).output().unwrap();
    assert_eq!(notes.stdout, [&b"notes/\"\xc3\xbc \xe2\x9c\x93\0"[..], b"notes/caf\xe9.txt\0"].concat());
}

/// The winner landed, and this is what was told on the way.
#[track_caller]
fn lands(repo: &Repo) -> String {
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(repo);
    done.err
}

#[test]
fn a_split_index_works_and_stays_split() {
    let repo = with_agent(COST);
    repo.git(&["update-index", "--split-index"]);
    repo.write("staged", "mine\n");
    repo.git(&["add", "staged"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["status", "--porcelain"]), "A  staged");
    assert_ne!(repo.git(&["rev-parse", "--shared-index-path"]), "");
    assert_eq!(repo.read("cost.txt"), "20\n");
    left_nothing(&repo);
}

#[test]
fn a_sparse_index_works_and_stays_sparse() {
    let repo = with_agent(&format!("{COST}mkdir -p notes; echo n > notes/n\n"));
    repo.write("huge/one/file", "x\n");
    repo.write("notes/old", "x\n");
    repo.commit("huge");
    repo.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "docs", "tests", "bench", "recorded"]);
    lands(&repo);
    let listed = repo.git(&["ls-files", "--sparse"]);
    assert!(listed.lines().any(|line| line == "huge/") && listed.lines().any(|line| line == "notes/"), "{listed}");
    assert_eq!(
        repo.git(&["ls-tree", "-r", "--name-only", "main", "huge", "notes"]),
        "huge/one/file\nnotes/n\nnotes/old"
    );
    assert!(!repo.root().join("notes").exists() && !repo.root().join("huge").exists(), "the checkout was widened");
}

#[test]
fn an_index_of_version_4_without_hash_and_with_caches_works() {
    let repo = with_agent(COST);
    let settings = [
        ("feature.manyFiles", "true"),
        ("index.skipHash", "true"),
        ("core.untrackedCache", "true"),
        ("core.fsmonitor", "/bin/true"),
    ];
    settings.iter().for_each(|(key, value)| drop(repo.git(&["config", key, value])));
    repo.git(&["update-index", "--force-write-index"]);
    repo.git(&["status"]);
    lands(&repo);
}

#[test]
fn what_an_agent_writes_into_configuration_and_hooks_of_the_repository_is_named_and_neither_obeyed_nor_in_the_way() {
    let proof = "touch \"$HOME/planted\"";
    let script = format!(
        "{COST}[ $BLUEPRINT_VARIANT = A ] || exit 0\nmkdir -p notes; echo '* filter=planted' > notes/.gitattributes; echo n > notes/n\n\
         git -C \"$HOME/../repo\" config user.name Agent; git -C \"$HOME/../repo\" config branch.feature.remote origin\n\
         for key in filter.planted.clean filter.planted.smudge filter.planted.process core.fsmonitor core.sshCommand; do\n\
         git -C \"$HOME/../repo\" config $key '{proof}'; done; git -C \"$HOME/../repo\" config core.hooksPath \"$HOME/hooks\"; mkdir -p \"$HOME/hooks\"\n\
         for name in post-merge post-checkout reference-transaction post-index-change pre-merge-commit; do\n\
         for folder in \"$HOME/hooks\" \"$HOME/../repo/.git/hooks\"; do mkdir -p \"$folder\"\n\
         printf '#!/bin/sh\\n{proof}\\n' > \"$folder/$name\"; chmod +x \"$folder/$name\"; done; done\n\
         rm -f \"$HOME/planted\"\n"
    );
    let repo = with_a_free_agent(&script);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(!repo.home().join("planted").exists(), "what the agent planted was run");
    let warning = done
        .err
        .lines()
        .find(|line| line.contains("hooks changed during the run"))
        .unwrap_or_else(|| panic!("{}", done.err));
    for name in ["branch.feature.remote", "core.fsmonitor", "core.hookspath", "filter.planted.clean", "more"] {
        assert!(warning.contains(name), "{name}: {warning}");
    }
    // The test's own git must not obey it either.
    std::fs::remove_dir_all(repo.root().join(".git/hooks")).unwrap();
    for section in ["filter.planted", "core"] {
        drop(repo.command("git").args(["config", "--remove-section", section]).output().unwrap());
    }
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20");
    assert_eq!(repo.read("notes/n"), "n\n");
    assert_eq!(repo.git(&["log", "-1", "--format=%an", "main"]), "Test", "the agent gave itself as the author");
}

#[test]
fn an_identity_or_a_tracking_branch_that_somebody_sets_during_a_run_is_in_nobodys_way() {
    let script = format!(
        "{COST}[ $BLUEPRINT_VARIANT = A ] || exit 0\ngit -C \"$HOME/../repo\" config user.email agent@localhost\n\
         git -C \"$HOME/../repo\" config branch.feature.merge x\n"
    );
    for hooks in ["skip", "run"] {
        let repo = with_a_free_agent(&script);
        repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + &format!("land: {{hooks: {hooks}}}\n")));
        repo.commit("hooks");
        let told = lands(&repo);
        assert!(told.contains("changed during the run: branch.feature.merge, user.email; landing ignores"), "{told}");
        assert_eq!(repo.git(&["log", "-1", "--format=%ae", "main"]), "test@localhost");
    }
}

#[test]
fn hooks_that_are_to_be_run_are_not_run_after_somebody_changed_them_during_the_run() {
    let script = format!(
        "{COST}[ $BLUEPRINT_VARIANT = A ] || exit 0\nhooks=\"$HOME/../repo/.git/hooks\"; mkdir -p $hooks\n\
         printf '#!/bin/sh\\ntouch \"$HOME/planted\"\\n' > $hooks/pre-merge-commit; chmod +x $hooks/pre-merge-commit\n"
    );
    let repo = with_a_free_agent(&script);
    repo.write("blueprint.yaml", &(repo.read("blueprint.yaml") + "land: {hooks: run}\n"));
    let before = repo.commit("hooks");
    repo.blueprint(&["run", DOCUMENT]).ends_with(6).says(&["hooks/pre-merge-commit", "look at it", "blueprint resume"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert!(!repo.home().join("planted").exists(), "what the agent planted was run");
}

#[test]
fn a_branch_in_the_place_of_our_branches_is_refused_before_anything_is_spent() {
    let repo = with_agent(&format!("echo x >> \"$HOME/told/calls\"; {COST}"));
    repo.git(&["branch", "blueprint"]);
    repo.git(&["pack-refs", "--all"]);
    for command in ["check", "plan", "run"] {
        repo.blueprint(&[command, DOCUMENT])
            .ends_with(4)
            .says(&["`blueprint`", "git branch -m blueprint blueprint-old"]);
    }
    assert!(!repo.told("calls").exists());
    repo.git(&["branch", "-m", "blueprint", "blueprint-old"]);
    lands(&repo);
}

#[test]
fn a_repository_of_another_user_is_refused_with_how_to_trust_it() {
    let repo = Arena::default().build();
    // As git itself tests it, whoever runs this.
    let real = String::from_utf8(repo.command("sh").args(["-c", "command -v git"]).output().unwrap().stdout).unwrap();
    let folder = repo.dir.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let (root, real) = (repo.root(), real.trim());
    // Worktrees are our own.
    let wrapper = format!(
        "#!/bin/sh\ncase $(pwd -P) in {}*) export GIT_TEST_ASSUME_DIFFERENT_OWNER=1; esac\nexec {real} \"$@\"\n",
        root.canonicalize().unwrap().display()
    );
    std::fs::write(folder.join("git"), wrapper).unwrap();
    std::fs::set_permissions(folder.join("git"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let run = |arguments: &[&str]| {
        let mut command = repo.command(env!("CARGO_BIN_EXE_blueprint"));
        Done::of(command.env("PATH", &path).args(arguments).output().unwrap())
    };
    for command in ["check", "plan", "run"] {
        let done =
            run(&[command, DOCUMENT]).ends_with(2).says(&["another user", "config --global --add safe.directory"]);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
    repo.git(&["config", "--global", "--add", "safe.directory", repo.root().to_str().unwrap()]);
    run(&["run", DOCUMENT]).ends_with(0);
    landed(&repo);
}

#[test]
fn of_many_files_those_that_a_variant_changed_land_and_all_others_stay() {
    let agent = "rm src/p1/f1.txt tests/many/f1.txt; echo new > src/p1/new.txt; echo more >> src/p2/f2.txt";
    let repo = with_agent(&format!("{COST}case $BLUEPRINT_VARIANT in A) {agent};; esac\n"));
    for number in 0..3000 {
        let folder = if number % 3 == 0 { "tests/many".to_owned() } else { format!("src/p{}", number % 30) };
        repo.write(&format!("{folder}/f{number}.txt"), &format!("{number}\n"));
    }
    repo.write("tests/many/f1.txt", "a test\n");
    repo.write("src/p1/f1.txt", "1\n");
    repo.write("src/p2/f2.txt", "2\n");
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("notes/**", "notes/**, src/**, tests/many/f1.txt"));
    let before = repo.commit("many files");
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.git(&["show", "main:cost.txt"]), "20", "{}", done.out);
    let changed = repo.git(&["diff", "--name-status", "--no-renames", &before, "main", "--", "src", "tests"]);
    assert_eq!(changed, "D\tsrc/p1/f1.txt\nA\tsrc/p1/new.txt\nM\tsrc/p2/f2.txt\nD\ttests/many/f1.txt");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    left_nothing(&repo);
}

#[test]
fn refs_in_a_reftable_work() {
    let repo = with_agent(COST);
    // Git does not move refs that have logs.
    std::fs::remove_dir_all(repo.root().join(".git/logs")).unwrap();
    let moved = repo.command("git").args(["refs", "migrate", "--ref-format=reftable"]).output().unwrap();
    if !moved.status.success() {
        return common::lacks("a git that makes reftables");
    }
    assert_eq!(repo.git(&["rev-parse", "--show-ref-format"]), "reftable");
    lands(&repo);
    assert_eq!(repo.git(&["for-each-ref", "--format=x", "refs/blueprint/"]), "x\nx");
}

#[test]
fn a_repository_of_sha256_names_is_refused_with_a_way_out_that_works() {
    let repo = Arena::default().build();
    std::fs::remove_dir_all(repo.root().join(".git")).unwrap();
    repo.git(&["init", "--quiet", "--initial-branch=main", "--object-format=sha256"]);
    repo.git(&["config", "user.name", "Test"]);
    repo.git(&["config", "user.email", "test@localhost"]);
    repo.commit("first");
    for command in ["check", "plan", "run", "status"] {
        let named: &[&str] = if command == "status" { &[] } else { &[DOCUMENT] };
        let done = repo.blueprint(&[&[command], named].concat()).ends_with(2).says(&["SHA-256", "git fast-export"]);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
    let told = repo.blueprint(&["plan", DOCUMENT]).err;
    let (_, way) = told.trim().split_once("run there: ").unwrap();
    assert!(repo.command("sh").args(["-c", way]).status().unwrap().success());
    let copy = repo.dir.path().join("copy");
    let done = repo.command(env!("CARGO_BIN_EXE_blueprint")).current_dir(&copy).args(["run", DOCUMENT]).output();
    Done::of(done.unwrap()).ends_with(0);
    assert_eq!(std::fs::read_to_string(copy.join("cost.txt")).unwrap(), "20\n");
}

/// Runs with a document that the checkout has in another form than the repository, and approves it in that form.
#[track_caller]
fn lands_in_another_form(repo: &Repo, on_disk: impl Fn(&[u8]) -> bool) {
    let bytes = |path: &str| std::fs::read(repo.root().join(path)).unwrap();
    assert!(on_disk(&bytes(DOCUMENT)), "the checkout has the stored form");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.blueprint(&["check", DOCUMENT]).ends_with(0);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let stored =
        || text(&repo.command("git").args(["cat-file", "blob", &format!("main:{DOCUMENT}")]).output().unwrap().stdout);
    repo.blueprint(&["approve", DOCUMENT]).ends_with(0);
    assert!(on_disk(&bytes(DOCUMENT)), "approving wrote another form");
    repo.git(&["add", DOCUMENT]);
    let staged =
        text(&repo.command("git").args(["cat-file", "blob", &format!(":{DOCUMENT}")]).output().unwrap().stdout);
    assert_eq!(
        staged.lines().filter(|line| !line.starts_with("**Approved**")).collect::<Vec<_>>(),
        stored().lines().collect::<Vec<_>>()
    );
    repo.git(&["commit", "--quiet", "-m", "approved"]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    landed(repo);
    assert!(on_disk(&bytes(DOCUMENT)), "landing wrote another form");
    assert!(!stored().contains('\r') && stored().contains("**Winner**: Variant A"), "{}", stored());
}

#[test]
fn a_document_with_other_line_ends_on_disk_is_not_edited_and_recorded_work_fits_all_the_same() {
    let crlf = |bytes: &[u8]| bytes.windows(2).any(|pair| pair == b"\r\n");
    let exam = "#!/bin/sh\ntest -s cost.txt\n";
    for global in [true, false] {
        let repo = Arena::default().build();
        let attributes = "*.sh text eol=lf\n*.patch -text\n";
        let own = if global { "" } else { "*.md text eol=crlf\ncost.txt text eol=crlf\n" };
        repo.write(".gitattributes", &format!("{attributes}{own}"));
        repo.write("tests/run.sh", exam);
        repo.commit("attributes");
        if global {
            repo.git(&["config", "--global", "core.autocrlf", "true"]);
        }
        repo.git(&["rm", "--quiet", "-r", "--cached", "."]);
        repo.git(&["reset", "--quiet", "--hard"]);
        lands_in_another_form(&repo, crlf);
        assert!(crlf(&std::fs::read(repo.root().join("cost.txt")).unwrap()));
    }
}

#[test]
fn a_document_that_an_encoding_an_identifier_or_a_filter_changes_on_disk_is_not_edited() {
    let repo = Arena::default().build();
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("## Goal\n", "## Goal\n\n$Id$\n"));
    repo.write(".git/info/attributes", "*.md ident filter=shout\n");
    repo.git(&["config", "filter.shout.clean", "sed s/LOWER/Lower/"]);
    repo.git(&["config", "filter.shout.smudge", "sed s/Lower/LOWER/"]);
    repo.commit("forms");
    repo.git(&["rm", "--quiet", "--cached", DOCUMENT]);
    repo.git(&["reset", "--quiet", "--hard"]);
    let shown = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.starts_with("# LOWER") && text.contains("$Id: ")
    };
    lands_in_another_form(&repo, shown);

    let repo = Arena::default().build();
    repo.write(".gitattributes", "*.md text working-tree-encoding=UTF-16LE-BOM eol=lf\n");
    repo.git(&["add", ".gitattributes"]);
    repo.git(&["commit", "--quiet", "-m", "encoding"]);
    std::fs::remove_file(repo.root().join(DOCUMENT)).unwrap();
    repo.git(&["checkout", "--", DOCUMENT]);
    lands_in_another_form(&repo, |bytes| bytes.starts_with(b"\xff\xfe#\0"));
}
