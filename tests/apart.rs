//! What an agent does with git stays in its own git directory: the repository's refs, stash, index, settings and hooks are
//! out of its reach there.
#![expect(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

const SETS: &str = "case $BLUEPRINT_VARIANT in A) echo 20 >cost.txt;; *) echo 60 >cost.txt;; esac\n";

/// An arena whose agent works by this script, and then sets the cost.
fn arena(script: &str) -> Repo {
    let arena = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    repo.write("other.txt", "other\n");
    repo.write("agent.sh", &format!("{script}\n{SETS}"));
    repo.commit("an agent");
    repo
}

/// What git keeps of a repository beside its objects: every ref with what it points at, the stash, settings and hooks.
fn state(repo: &Repo) -> BTreeMap<String, String> {
    let git = repo.root().join(".git");
    let mut all: BTreeMap<String, String> = ["config", "HEAD", "info/exclude", "logs/refs/stash"]
        .into_iter()
        .map(|name| (name.to_owned(), std::fs::read_to_string(git.join(name)).unwrap_or_default()))
        .collect();
    let hooks: Vec<_> = common::tree(&git.join("hooks")).into_iter().map(|(path, _)| path).collect();
    all.insert("hooks".to_owned(), format!("{hooks:?}"));
    let refs = repo.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    let refs =
        refs.lines().filter(|line| !line.starts_with("refs/blueprint/") && !line.starts_with("refs/heads/main "));
    all.extend(refs.map(|line| line.split_once(' ').unwrap()).map(|(name, id)| (name.to_owned(), id.to_owned())));
    all
}

#[test]
fn an_agent_that_pops_a_stash_gets_its_own_and_never_the_users() {
    let repo = arena("git stash --quiet; git stash pop --quiet");
    repo.write("other.txt", "precious\n");
    repo.git(&["stash", "push", "--quiet", "-m", "the user's own work"]);
    let (before, list) = (state(&repo), repo.git(&["stash", "list"]));
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
    assert_eq!(repo.git(&["stash", "list"]), list);
    assert_eq!(state(&repo), before);
    repo.git(&["stash", "pop", "--quiet"]);
    assert_eq!(repo.read("other.txt"), "precious\n");
}

#[test]
fn two_agents_that_stash_at_once_get_back_what_each_of_them_put_away() {
    let wait = "touch \"$HOME/told/put-$BLUEPRINT_VARIANT\"; until [ -e \"$HOME/told/put-A\" ] && [ -e \"$HOME/told/put-B\" ]; do sleep 0.01; done";
    let script = format!(
        "{SETS}mkdir -p notes; echo $BLUEPRINT_VARIANT >notes/who.txt; git stash push --quiet --include-untracked\n{wait}\n\
         git stash pop --quiet; test \"$(cat notes/who.txt)\" = $BLUEPRINT_VARIANT || exit 9; exit 0"
    );
    let repo = arena(&script);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("notes/who.txt"), "A\n", "{}", done.out);
    assert_eq!(repo.git(&["stash", "list"]), "");
}

#[test]
fn whatever_an_agent_does_with_refs_settings_and_hooks_the_repository_is_as_it_was() {
    let script = "git config user.name Agent; git config alias.x '!false'\n\
                  git tag mine; git tag -d release; git branch -D side; git update-ref -d refs/heads/main\n\
                  git checkout --quiet -b elsewhere; echo x >other.txt; git commit --quiet --all -m mine\n\
                  git checkout --quiet HEAD~1 -- other.txt; git remote add there /nowhere; git notes add -m note\n\
                  hooks=$(git rev-parse --git-path hooks); mkdir -p \"$hooks\"; echo false >\"$hooks/pre-commit\"\n\
                  git gc --quiet --prune=now; git reflog expire --expire=now --all\n\
                  git replace HEAD HEAD~1";
    let repo = arena(script);
    repo.git(&["branch", "side"]);
    repo.git(&["tag", "release"]);
    let before = state(&repo);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n", "{}", done.out);
    assert_eq!(state(&repo), before);
    assert_eq!(repo.git(&["fsck", "--no-dangling", "--no-progress"]), "");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn an_agent_sees_branches_tags_and_the_history_and_may_commit_as_the_user() {
    let script = "set -e; git log --format=%s main | grep -q 'an agent'; git rev-parse --verify --quiet refs/tags/release\n\
                  git diff --quiet side; test -z \"$(git status --porcelain)\"\n\
                  mkdir -p notes; echo x >notes/own.txt; git add notes; git commit --quiet -m 'by the agent'\n\
                  git log -1 --format=%an | grep -q Test; git blame other.txt | grep -q other";
    let repo = arena(script);
    repo.git(&["branch", "side"]);
    repo.git(&["tag", "release"]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("notes/own.txt"), "x\n", "{}", done.out);
    let kept = repo.git(&["for-each-ref", "--format=%(contents:subject) %(refname)", "refs/blueprint"]);
    let own: Vec<_> = kept.lines().filter(|line| line.starts_with("by the agent ")).collect();
    assert_eq!(own.len(), 2, "what each of them committed is kept: {kept}");
}

#[test]
fn nothing_of_an_agents_git_directory_is_left_behind() {
    let repo = arena("git commit --quiet --allow-empty -m mine");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    let cache = repo.dir.path().join("cache");
    let left: Vec<_> = common::tree(&cache).into_iter().map(|(path, _)| path).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!Path::new(&repo.root().join(".git/worktrees")).exists());
}
