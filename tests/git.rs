//! The git port on real repositories.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::git::{
    Advance, ChangeKind, CheckoutOrder, CommitId, CommitOrder, Git, GitError, HarvestOrder, Head, Merge, Repository,
    Survey,
};
use common::Repo;

async fn open(repo: &Repo) -> Repository {
    Repository::discover(&repo.root(), Arc::new(Local)).await.unwrap()
}

fn id(text: String) -> CommitId {
    CommitId(text)
}

/// A repository, its base, and a worktree of it on a branch of ours.
async fn with_worktree() -> (Repo, Repository, CommitId, PathBuf) {
    let repo = Repo::with(&[("a.txt", "one\ntwo\n"), ("tests/t.py", "assert True\n")]);
    let git = open(&repo).await;
    let base = id(repo.git(&["rev-parse", "HEAD"]));
    let path = repo.dir.path().join("work");
    git.add_worktree(&path, "blueprint/r/a", &base).await.unwrap();
    (repo, git, base, path)
}

async fn harvest(git: &Repository, worktree: &Path, base: &CommitId) -> Result<Option<CommitId>, GitError> {
    harvest_since(git, worktree, base, &Survey::untouched(base)).await
}

async fn harvest_since(
    git: &Repository,
    worktree: &Path,
    base: &CommitId,
    before: &Survey,
) -> Result<Option<CommitId>, GitError> {
    let order = HarvestOrder {
        worktree,
        branch: "blueprint/r/a",
        parent: base,
        message: "work",
        before,
        agent_ref: "refs/blueprint/r/a-agent",
    };
    git.harvest(&order).await
}

#[tokio::test]
async fn where_head_is_can_be_told_on_a_branch_before_the_first_commit_and_detached() {
    let repo = Repo::unborn();
    assert_eq!(open(&repo).await.head().await.unwrap(), Head::Unborn("main".to_owned()));
    let commit = repo.commit("first");
    assert_eq!(open(&repo).await.head().await.unwrap(), Head::Branch("main".to_owned()));
    repo.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(open(&repo).await.head().await.unwrap(), Head::Detached(id(commit)));
}

#[tokio::test]
async fn a_directory_without_a_repository_a_bare_one_and_a_shallow_clone_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Repository::discover(dir.path(), Arc::new(Local)).await.err().unwrap();
    assert!(matches!(error, GitError::NotARepository(_)), "{error}");
    git2::Repository::init_bare(dir.path()).unwrap();
    let error = Repository::discover(dir.path(), Arc::new(Local)).await.err().unwrap();
    assert!(error.to_string().contains("bare"), "{error}");
    let repo = Repo::with(&[("a.txt", "one\n")]);
    repo.commit("second");
    let (from, clone) = (format!("file://{}", repo.root().display()), repo.dir.path().join("shallow"));
    repo.git(&["clone", "--quiet", "--depth=1", &from, clone.to_str().unwrap()]);
    let error = Repository::discover(&clone, Arc::new(Local)).await.err().unwrap();
    assert!(error.to_string().contains("git fetch --unshallow"), "{error}");
}

#[tokio::test]
async fn what_an_agent_left_becomes_a_commit_without_what_was_carried_in() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::create_dir(work.join("carried")).unwrap();
    std::fs::write(work.join("carried/big"), "x").unwrap();
    let before = git.survey(&work, &base, &["carried".to_owned()]).await.unwrap();
    std::fs::write(work.join("a.txt"), "one\n2\n").unwrap();
    std::fs::write(work.join("new file.txt"), "x\n").unwrap();
    std::fs::write(work.join("carried/new"), "x").unwrap();
    let commit = harvest_since(&git, &work, &base, &before).await.unwrap().unwrap();
    let changes = git.changes(&base, &commit).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.kind)).collect();
    assert_eq!(seen, [("a.txt", ChangeKind::Modified), ("new file.txt", ChangeKind::Added)]);
    assert_eq!(git.tip("blueprint/r/a").await.unwrap(), commit);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_change_names_its_lines_by_number_and_a_binary_file_has_none() {
    let (_repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("code.py"), "a = 1\nb = 2\r\nc = 3\n").unwrap();
    let first = harvest(&git, &work, &base).await.unwrap().unwrap();
    std::fs::write(work.join("code.py"), "a = 1\n\nb = 9\r\n").unwrap();
    std::fs::write(work.join("picture"), b"\0\x01\n\xff").unwrap();
    let second = harvest(&git, &work, &base).await.unwrap().unwrap();
    let changes = git.changes(&first, &second).await.unwrap();
    let numbers: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.added.clone(), c.deleted.clone())).collect();
    assert_eq!(numbers, [("code.py", vec![2, 3], vec![2, 3]), ("picture", vec![], vec![])]);
    assert_eq!((changes[1].before.as_ref(), changes[1].after.as_ref()), (None, None));
}

#[tokio::test]
async fn a_worktree_without_a_change_yields_no_commit() {
    let (_repo, git, base, work) = with_worktree().await;
    assert_eq!(harvest(&git, &work, &base).await.unwrap(), None);
}

#[tokio::test]
async fn commits_of_the_agent_itself_are_kept_and_its_content_is_what_counts() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("a.txt"), "agent\n").unwrap();
    let in_work = |args: &[&str]| {
        let done = repo.command("git").current_dir(&work).args(args).status().unwrap();
        assert!(done.success());
    };
    in_work(&["commit", "--quiet", "--all", "-m", "mine"]);
    let commit = harvest(&git, &work, &base).await.unwrap().unwrap();
    assert_eq!(git.file_at(&commit, "a.txt").await.unwrap().unwrap(), b"agent\n");
    assert_eq!(repo.git(&["log", "-1", "--format=%s", "refs/blueprint/r/a-agent"]), "mine");
    assert_eq!(repo.git(&["rev-parse", &format!("{}^", commit.0)]), base.0);
}

#[tokio::test]
async fn a_nested_repository_is_refused() {
    let (repo, git, base, work) = with_worktree().await;
    let nested = work.join("nested");
    let run = |args: &[&str], dir: &Path| {
        assert!(repo.command("git").current_dir(dir).args(args).status().unwrap().success());
    };
    run(&["init", "--quiet", "nested"], &work);
    run(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "--allow-empty", "-m", "x"], &nested);
    let error = harvest(&git, &work, &base).await.unwrap_err();
    assert!(error.to_string().contains("nested"), "{error}");
}

#[tokio::test]
async fn git_configuration_that_an_agent_plants_runs_nothing_in_a_harvest_or_a_landing_and_is_named() {
    let (repo, git, base, work) = with_worktree().await;
    let proof = repo.dir.path().join("planted");
    let script = format!("touch {}", proof.display());
    for key in ["core.fsmonitor", "filter.x.clean", "filter.x.smudge", "diff.external", "core.sshCommand"] {
        repo.git(&["config", key, &script]);
    }
    std::fs::write(work.join(".gitattributes"), "* filter=x\n").unwrap();
    std::fs::write(work.join("a.txt"), "changed\n").unwrap();
    let hooks = repo.root().join(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for name in ["post-merge", "reference-transaction", "post-index-change"] {
        std::fs::write(hooks.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(hooks.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let winner = harvest(&git, &work, &base).await.unwrap().unwrap();
    let merge = merged(&git, &base, &winner).await;
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), Advance::Moved);
    assert_eq!(repo.read("a.txt"), "changed\n");
    assert!(!proof.exists(), "planted configuration was obeyed");
    let named = ["core.fsmonitor", "core.sshcommand", "diff.external", "filter.x.clean", "filter.x.smudge"];
    let hooks = ["hooks/post-index-change", "hooks/post-merge", "hooks/reference-transaction"];
    assert_eq!(git.strayed().await.unwrap(), [&named[..], &hooks[..]].concat());
    // Hooks would obey it, so they are not run.
    let error = git.vet(&merge, &repo.dir.path().join("vetting")).await.unwrap_err();
    assert!(matches!(error, GitError::ConfigurationChanged(_)), "{error}");
    assert!(!proof.exists(), "planted configuration was obeyed");
}

#[tokio::test]
async fn a_judged_tree_is_the_commit_with_protected_paths_as_they_were() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("a.txt"), "better\n").unwrap();
    std::fs::write(work.join("tests/t.py"), "cheat\n").unwrap();
    std::fs::write(work.join("tests/extra.py"), "cheat\n").unwrap();
    let commit = harvest(&git, &work, &base).await.unwrap().unwrap();
    let into = repo.dir.path().join("judged");
    let order = CheckoutOrder { tree: &commit.0, base: &base, restored: &["tests/**".to_owned()], into: &into };
    git.check_out(&order).await.unwrap();
    let text = |path: &str| std::fs::read_to_string(into.join(path)).ok();
    assert_eq!(text("a.txt").as_deref(), Some("better\n"));
    assert_eq!(text("tests/t.py").as_deref(), Some("assert True\n"));
    assert_eq!(text("tests/extra.py"), None);
    assert!(!into.join(".git").exists());
}

#[tokio::test]
async fn a_clean_merge_has_a_tree_and_a_conflict_names_its_paths() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("a.txt"), "one\nTWO\n").unwrap();
    let winner = harvest(&git, &work, &base).await.unwrap().unwrap();
    repo.write("b.txt", "b\n");
    let aside = id(repo.commit("aside"));
    assert!(matches!(git.merge(&aside, &winner).await.unwrap(), Merge::Clean(_)));
    repo.write("a.txt", "one\nzwei\n");
    let against = id(repo.commit("against"));
    assert_eq!(git.merge(&against, &winner).await.unwrap(), Merge::Conflict(vec!["a.txt".to_owned()]));
}

/// A merge commit on `main` that also replaces `b.txt`.
async fn merged(git: &Repository, base: &CommitId, winner: &CommitId) -> CommitId {
    let Merge::Clean(tree) = git.merge(base, winner).await.unwrap() else { panic!("a conflict") };
    let order = CommitOrder {
        tree: &tree,
        replace: Some(("docs/b.txt", b"results\n")),
        parents: &[base, winner],
        message: "land",
        time: 1_700_000_000,
        signed: false,
    };
    let commit = git.commit(&order).await.unwrap();
    assert_eq!(git.commit(&order).await.unwrap(), commit, "the same order must make the same commit");
    commit
}

#[tokio::test]
async fn the_checked_out_target_follows_and_keeps_uncommitted_work_that_is_not_in_the_way() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("a.txt"), "won\n").unwrap();
    let winner = harvest(&git, &work, &base).await.unwrap().unwrap();
    let merge = merged(&git, &base, &winner).await;
    repo.write("tests/t.py", "mine, uncommitted\n");
    repo.write("notes", "untracked\n");
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), Advance::Moved);
    assert_eq!(repo.git(&["rev-parse", "main"]), merge.0);
    assert_eq!((repo.read("a.txt"), repo.read("docs/b.txt")), ("won\n".to_owned(), "results\n".to_owned()));
    assert_eq!(repo.read("tests/t.py"), "mine, uncommitted\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), " M tests/t.py\n?? notes");
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), Advance::Moved, "moving again is no move");
}

#[tokio::test]
async fn uncommitted_work_in_the_way_is_named_and_left_as_it_is() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("a.txt"), "won\n").unwrap();
    let winner = harvest(&git, &work, &base).await.unwrap().unwrap();
    let merge = merged(&git, &base, &winner).await;
    repo.write("a.txt", "mine\n");
    repo.write("docs/b.txt", "mine too\n");
    let expected = Advance::Overlap(vec!["a.txt".to_owned(), "docs/b.txt".to_owned()]);
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), expected);
    assert_eq!((repo.read("a.txt"), repo.read("docs/b.txt")), ("mine\n".to_owned(), "mine too\n".to_owned()));
    assert_eq!(repo.git(&["rev-parse", "main"]), base.0);
}

#[tokio::test]
async fn uncommitted_work_in_the_way_is_found_among_more_names_than_a_message_holds() {
    let (repo, git, base, work) = with_worktree().await;
    // Whose list is longer than the mebibyte that is kept of what programs print; the first of them is in the way.
    let name = |n: usize| format!("many/{n:0>200}");
    (0..6_000).for_each(|n| repo.write(&name(n), "mine"));
    std::fs::create_dir(work.join("many")).unwrap();
    std::fs::write(work.join(name(0)), "theirs").unwrap();
    let winner = harvest(&git, &work, &base).await.unwrap().unwrap();
    let merge = merged(&git, &base, &winner).await;
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), Advance::Overlap(vec![name(0)]));
    assert_eq!((repo.read(&name(0)), repo.git(&["rev-parse", "main"])), ("mine".to_owned(), base.0));
}

#[tokio::test]
async fn a_target_that_moved_is_told_and_one_that_nobody_has_checked_out_moves_by_compare_and_swap() {
    let (repo, git, base, work) = with_worktree().await;
    std::fs::write(work.join("a.txt"), "won\n").unwrap();
    let winner = harvest(&git, &work, &base).await.unwrap().unwrap();
    let merge = merged(&git, &base, &winner).await;
    repo.git(&["checkout", "--quiet", "-b", "elsewhere"]);
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), Advance::Moved);
    assert_eq!(repo.git(&["rev-parse", "main"]), merge.0);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.git(&["branch", "--force", "main", &base.0]);
    repo.git(&["commit", "--quiet", "--allow-empty", "-m", "other"]);
    let other = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["branch", "--force", "main", &other]);
    assert_eq!(git.advance("main", &base, &merge).await.unwrap(), Advance::TargetMoved(id(other)));
}

#[tokio::test]
async fn eight_worktrees_at_once_are_made_and_removed_without_a_trace() {
    let repo = Repo::with(&[("a.txt", "one\n")]);
    let git = Arc::new(open(&repo).await);
    let base = id(repo.git(&["rev-parse", "HEAD"]));
    let before = repo.git(&["worktree", "list"]);
    let place = |n: usize| repo.dir.path().join(format!("w{n}"));
    let all = (0..8).map(|n| {
        let (git, base, path) = (Arc::clone(&git), base.clone(), place(n));
        tokio::spawn(async move { git.add_worktree(&path, &format!("blueprint/r/{n}"), &base).await })
    });
    for done in futures_util::future::join_all(all).await {
        done.unwrap().unwrap();
    }
    for n in 0..8 {
        git.remove_worktree(&place(n)).await.unwrap();
        git.delete_branch(&format!("blueprint/r/{n}")).await.unwrap();
        git.remove_worktree(&place(n)).await.unwrap();
    }
    assert_eq!(repo.git(&["worktree", "list"]), before);
    assert_eq!(repo.git(&["branch", "--list", "blueprint/*"]), "");
}

#[tokio::test]
async fn a_branch_that_is_somebody_elses_is_left_alone() {
    let (repo, git, base, _work) = with_worktree().await;
    repo.git(&["branch", "blueprint/r/mine", &base.0]);
    repo.commit("later");
    let later = id(repo.git(&["rev-parse", "HEAD"]));
    let error = git.add_worktree(&repo.dir.path().join("x"), "blueprint/r/mine", &later).await.unwrap_err();
    assert!(error.to_string().contains("blueprint/r/mine"), "{error}");
    assert_eq!(repo.git(&["rev-parse", "blueprint/r/mine"]), base.0);
}

#[tokio::test]
async fn the_versions_of_a_file_are_found_newest_first() {
    let repo = Repo::with(&[("a.txt", "one\n")]);
    repo.write("a.txt", "two\n");
    repo.commit("second");
    repo.write("b.txt", "b\n");
    let tip = id(repo.commit("third"));
    let versions = open(&repo).await.versions(&tip, "a.txt").await.unwrap();
    assert_eq!(versions, [b"two\n".to_vec(), b"one\n".to_vec()]);
}

/// Writes and stages a file at the beginning of a second, so that what follows falls into the same one.
fn staged_early_in_a_second(repo: &Repo, path: &str, text: &str) {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // The clock of a file system may lag behind by a few ms.
    std::thread::sleep(Duration::from_nanos(u64::from(1_020_000_000 - now().subsec_nanos())));
    repo.write(path, text);
    repo.git(&["add", path]);
}

#[tokio::test]
async fn an_edit_of_the_same_length_in_the_second_in_which_the_index_was_written_is_seen() {
    let repo = Repo::with(&[("a.md", "one\n")]);
    let git = open(&repo).await;
    staged_early_in_a_second(&repo, "a.md", "<80\n");
    repo.write("a.md", "<90\n");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(git.stored("a.md").await.unwrap(), b"<90\n");
    assert!(git.is_dirty("a.md").await.unwrap());
}
