//! The git port: repositories of the git program, and the one whose commits are maps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blueprint::adapters::executor::local::Local;
use blueprint::adapters::git::fake::FakeGit;
use blueprint::adapters::git::{
    Advance, ChangeKind, CheckoutOrder, CommitId, CommitOrder, Customs, Git, GitError, HarvestOrder, Head, Merge,
    ReplayOrder, Repository, Standing, Survey,
};

use crate::common::Repo;
use crate::world::World;

const FILES: &[(&str, &str)] = &[("a.txt", "one\ntwo\n"), ("b.txt", "b\n"), ("tests/t.py", "assert True\n")];

/// A repository with a user who works in it.
struct Yard {
    git: Arc<dyn Git>,
    world: World,
    user: User,
}

enum User {
    Real(Repo),
    Fake(Arc<FakeGit>),
}

/// A repository of each kind, with these files on `main`.
async fn all() -> [Yard; 2] {
    let repo = Repo::with(FILES);
    let real = Arc::new(Repository::discover(&repo.root(), Arc::new(Local)).await.unwrap());
    let World::Fake(disk) = World::fake() else { unreachable!() };
    let fake = Arc::new(FakeGit::with(&disk, "/world/repo", "main", FILES));
    [
        Yard { git: real, world: World::real(), user: User::Real(repo) },
        Yard { git: Arc::clone(&fake) as Arc<dyn Git>, world: World::Fake(disk), user: User::Fake(fake) },
    ]
}

impl Yard {
    fn kind(&self) -> &'static str {
        self.world.kind()
    }

    /// A place outside the checkout.
    fn place(&self, name: &str) -> PathBuf {
        self.world.root().join(name)
    }

    /// A file of the user's checkout.
    fn own(&self, path: &str) -> PathBuf {
        self.git.root().join(path)
    }

    /// Commits a file on `main`, as the user does.
    async fn commits(&self, path: &str, text: &str) -> CommitId {
        match &self.user {
            User::Real(repo) => {
                repo.write(path, text);
                CommitId(repo.commit("the user's"))
            }
            User::Fake(git) => git.commit_on("main", &[(path, Some(text))]),
        }
    }

    async fn tip(&self) -> CommitId {
        self.git.tip("main").await.unwrap()
    }

    /// A commit of one file on another.
    async fn on(&self, parent: &CommitId, path: &str, text: &str) -> CommitId {
        self.made(parent, &[parent], path, text, 1).await
    }

    async fn made(&self, tree: &CommitId, parents: &[&CommitId], path: &str, text: &str, time: i64) -> CommitId {
        let replace = Some((path, text.as_bytes()));
        let order = CommitOrder { tree: &tree.0, replace, parents, message: "made\n", time, signed: false };
        self.git.commit(&order).await.unwrap()
    }

    async fn text(&self, commit: &CommitId, path: &str) -> Option<String> {
        self.git.file_at(commit, path).await.unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    async fn harvest(&self, worktree: &Path, parent: &CommitId, before: &Survey) -> Option<CommitId> {
        let order = HarvestOrder {
            worktree,
            branch: "blueprint/r/a",
            parent,
            message: "work\n",
            before,
            agent_ref: "refs/blueprint/r/a_agent",
        };
        self.git.harvest(&order).await.unwrap()
    }

    async fn changed(&self, base: &CommitId, commit: &CommitId) -> Vec<(String, ChangeKind)> {
        let changes = self.git.changes(base, commit).await.unwrap();
        changes.into_iter().map(|change| (change.path, change.kind)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_commit_holds_and_held_before_is_told() {
    for yard in all().await {
        let (kind, git) = (yard.kind(), &yard.git);
        assert_eq!(git.head().await.unwrap(), Head::Branch("main".to_owned()), "{kind}");
        let first = yard.tip().await;
        assert_eq!((yard.text(&first, "b.txt").await.as_deref(), yard.text(&first, "no").await), (Some("b\n"), None));
        let second = yard.commits("b.txt", "c\n").await;
        let third = yard.commits("b.txt", "b\n").await;
        assert_eq!(yard.tip().await, third, "{kind}");
        let mut paths = git.paths_at(&third).await.unwrap();
        paths.sort();
        assert_eq!(paths, FILES.iter().map(|(path, _)| PathBuf::from(path)).collect::<Vec<_>>(), "{kind}");
        assert_eq!(git.versions(&third, "b.txt").await.unwrap(), [b"b\n", b"c\n"], "{kind}");
        assert_eq!(git.versions(&third, "no").await.unwrap(), Vec::<Vec<u8>>::new(), "{kind}");
        assert!(git.is_ancestor(&first, &third).await.unwrap() && git.is_ancestor(&third, &third).await.unwrap());
        assert!(!git.is_ancestor(&third, &second).await.unwrap(), "{kind}");
        let nowhere = git.tip("nowhere").await;
        assert!(matches!(&nowhere, Err(GitError::NoBranch(name)) if name == "nowhere"), "{kind}: {nowhere:?}");
        git.file_at(&CommitId("0".repeat(40)), "a.txt").await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worktree_is_made_again_where_it_is_half_made_and_refused_where_its_branch_is_somebody_else_s() {
    for yard in all().await {
        let (kind, git, base, work) = (yard.kind(), &yard.git, yard.tip().await, yard.place("work"));
        for _ in 0..2 {
            git.add_worktree(&work, "blueprint/r/a", &base).await.unwrap();
            assert_eq!(yard.world.read(&work.join("a.txt")).as_deref(), Some("one\ntwo\n"), "{kind}");
        }
        assert_eq!(git.tip("blueprint/r/a").await.unwrap(), base, "{kind}");
        let theirs = yard.on(&base, "b.txt", "theirs\n").await;
        git.keep("refs/heads/blueprint/r/b", &theirs).await.unwrap();
        let refused = git.add_worktree(&yard.place("other"), "blueprint/r/b", &base).await;
        assert!(matches!(refused, Err(GitError::Unsupported(_))), "{kind}: {refused:?}");
        for _ in 0..2 {
            git.remove_worktree(&work).await.unwrap();
            git.delete_branch("blueprint/r/a").await.unwrap();
        }
        assert!(!yard.world.has(&work) && git.tip("blueprint/r/a").await.is_err(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_left_becomes_a_commit_and_what_was_there_before_it_does_not() {
    for yard in all().await {
        let (kind, git, base, work) = (yard.kind(), &yard.git, yard.tip().await, yard.place("work"));
        git.add_worktree(&work, "blueprint/r/a", &base).await.unwrap();
        // What set-up does and what is carried in.
        yard.world.write(&work.join("carried/big"), "x");
        yard.world.write(&work.join("made.cfg"), "by set-up");
        yard.world.write(&work.join("made-too.cfg"), "by set-up");
        yard.world.write(&work.join("b.txt"), "by set-up");
        let before = git.survey(&work, &base, &["carried".to_owned()]).await.unwrap();
        assert_eq!(yard.harvest(&work, &base, &before).await, None, "{kind}: nobody did anything");
        assert_eq!(git.tip("blueprint/r/a").await.unwrap(), base, "{kind}");
        yard.world.write(&work.join("a.txt"), "one\n2\nthree\n");
        yard.world.write(&work.join("new/file.txt"), "x\n");
        yard.world.write(&work.join("made-too.cfg"), "by the agent");
        yard.world.write(&work.join("carried/new"), "x");
        yard.world.remove(&work.join("tests/t.py"));
        let first = yard.harvest(&work, &base, &before).await.unwrap();
        let expected = [
            ("a.txt", ChangeKind::Modified),
            ("made-too.cfg", ChangeKind::Added),
            ("new/file.txt", ChangeKind::Added),
            ("tests/t.py", ChangeKind::Deleted),
        ];
        assert_eq!(yard.changed(&base, &first).await, expected.map(|(path, how)| (path.to_owned(), how)), "{kind}");
        assert_eq!(git.tip("blueprint/r/a").await.unwrap(), first, "{kind}");
        let change = &git.changes(&base, &first).await.unwrap()[0];
        assert_eq!((change.added.as_slice(), change.deleted.as_slice()), ([2, 3].as_slice(), [2].as_slice()), "{kind}");
        assert_eq!((change.before.as_deref(), change.after.as_deref()), (Some("one\ntwo\n"), Some("one\n2\nthree\n")));
        // The next step goes on from there.
        assert_eq!(yard.harvest(&work, &first, &before).await, None, "{kind}");
        yard.world.write(&work.join("new/file.txt"), "y\n");
        let second = yard.harvest(&work, &first, &before).await.unwrap();
        let more = [("new/file.txt".to_owned(), ChangeKind::Modified)];
        assert_eq!(yard.changed(&first, &second).await, more, "{kind}");
        assert!(git.is_ancestor(&first, &second).await.unwrap(), "{kind}");
        assert_eq!(yard.text(&second, "b.txt").await.as_deref(), Some("b\n"), "{kind}: set-up is nobody's work");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judged_tree_has_protected_files_as_the_base_has_them() {
    for yard in all().await {
        let (kind, git, base) = (yard.kind(), &yard.git, yard.tip().await);
        let cheat = yard.on(&base, "tests/t.py", "pass\n").await;
        let work = yard.on(&cheat, "tests/new.py", "pass\n").await;
        let work = yard.on(&work, "a.txt", "better\n").await;
        for (restored, kept) in
            [(vec!["tests/**".to_owned()], true), (vec!["tests".to_owned()], true), (Vec::new(), false)]
        {
            let into = yard.place("tree");
            let order = CheckoutOrder { tree: &work.0, base: &base, restored: &restored, into: &into };
            git.check_out(&order).await.unwrap();
            let expected = if kept { "assert True\n" } else { "pass\n" };
            assert_eq!(yard.world.read(&into.join("tests/t.py")).as_deref(), Some(expected), "{kind}: {restored:?}");
            assert_eq!(yard.world.has(&into.join("tests/new.py")), !kept, "{kind}: {restored:?}");
            assert_eq!(yard.world.read(&into.join("a.txt")).as_deref(), Some("better\n"), "{kind}");
            assert!(!yard.world.has(&into.join(".git")), "{kind}");
            yard.world.remove(&into);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_are_merged_in_memory_or_their_conflicts_are_named() {
    for yard in all().await {
        let (kind, git, base) = (yard.kind(), &yard.git, yard.tip().await);
        let ours = yard.on(&base, "a.txt", "ours\n").await;
        let ours = yard.on(&ours, "new.txt", "same\n").await;
        let theirs = yard.on(&base, "b.txt", "theirs\n").await;
        let theirs = yard.on(&theirs, "new.txt", "same\n").await;
        let Merge::Clean(tree) = git.merge(&ours, &theirs).await.unwrap() else { panic!("{kind}: it conflicts") };
        let parents = [&ours, &theirs];
        let order =
            |time| CommitOrder { tree: &tree, replace: None, parents: &parents, message: "m\n", time, signed: true };
        let merge = git.commit(&order(7)).await.unwrap();
        assert_eq!(git.commit(&order(7)).await.unwrap(), merge, "{kind}: the same input gives the same commit");
        assert_ne!(git.commit(&order(8)).await.unwrap(), merge, "{kind}");
        for (path, text) in [("a.txt", "ours\n"), ("b.txt", "theirs\n"), ("new.txt", "same\n")] {
            assert_eq!(yard.text(&merge, path).await.as_deref(), Some(text), "{kind}");
        }
        assert!(git.is_ancestor(&theirs, &merge).await.unwrap(), "{kind}");
        let both = yard.on(&yard.on(&base, "b.txt", "otherwise\n").await, "a.txt", "also otherwise\n").await;
        let conflict = git.merge(&ours, &both).await.unwrap();
        assert_eq!(conflict, Merge::Conflict(vec!["a.txt".to_owned()]), "{kind}");
        assert_eq!(git.merge(&base, &ours).await.unwrap(), git.merge(&ours, &base).await.unwrap(), "{kind}");
        assert_eq!(yard.tip().await, base, "{kind}: nothing moved");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_replayed_onto_another_base_unless_it_conflicts_with_it() {
    for yard in all().await {
        let (kind, git, base) = (yard.kind(), &yard.git, yard.tip().await);
        let work = yard.on(&base, "a.txt", "work\n").await;
        let moved = yard.commits("b.txt", "moved\n").await;
        let order = ReplayOrder { work: &work, base: &base, onto: &moved, message: "again\n", time: 1 };
        let replayed = git.replay(&order).await.unwrap().unwrap();
        assert_eq!(yard.changed(&moved, &replayed).await, [("a.txt".to_owned(), ChangeKind::Modified)], "{kind}");
        let against = yard.commits("a.txt", "against\n").await;
        assert_eq!(git.replay(&ReplayOrder { onto: &against, ..order }).await.unwrap(), None, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_moves_with_its_checkout_only_from_where_it_is_expected_and_over_nobody_s_changes() {
    for yard in all().await {
        let (kind, git, base) = (yard.kind(), &yard.git, yard.tip().await);
        let next = yard.on(&base, "a.txt", "next\n").await;
        yard.world.write(&yard.own("b.txt"), "edited\n");
        assert_eq!(git.advance("main", &base, &next).await.unwrap(), Advance::Moved, "{kind}");
        assert_eq!(git.advance("main", &base, &next).await.unwrap(), Advance::Moved, "{kind}: it is there");
        let checkout = &yard.world;
        assert_eq!(checkout.read(&yard.own("a.txt")).as_deref(), Some("next\n"), "{kind}");
        assert_eq!(checkout.read(&yard.own("b.txt")).as_deref(), Some("edited\n"), "{kind}");
        let over = yard.on(&next, "b.txt", "ours\n").await;
        let overlap = git.advance("main", &next, &over).await.unwrap();
        assert_eq!(overlap, Advance::Overlap(vec!["b.txt".to_owned()]), "{kind}");
        let late = git.advance("main", &base, &over).await.unwrap();
        assert_eq!((late, yard.tip().await), (Advance::TargetMoved(next.clone()), next.clone()), "{kind}");
        git.keep("refs/heads/side", &base).await.unwrap();
        assert_eq!(git.advance("side", &base, &next).await.unwrap(), Advance::Moved, "{kind}");
        assert_eq!(git.tip("side").await.unwrap(), next, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_checkout_is_not_committed_is_told_by_path() {
    for yard in all().await {
        let (kind, git, base, checkout) = (yard.kind(), &yard.git, yard.tip().await, &yard.world);
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let everything = named(&["a.txt", "b.txt", "tests", "new.txt", "absent.txt"]);
        assert!(git.uncommitted(&base, &everything).await.unwrap().is_empty(), "{kind}");
        checkout.write(&yard.own("a.txt"), "edited\n");
        checkout.write(&yard.own("new.txt"), "new\n");
        checkout.write(&yard.own("tests/more.py"), "pass\n");
        checkout.remove(&yard.own("tests/t.py"));
        let found = git.uncommitted(&base, &everything).await.unwrap();
        let expected = [
            ("a.txt", Standing::Changed),
            ("new.txt", Standing::Untracked),
            ("tests/more.py", Standing::Untracked),
            ("tests/t.py", Standing::Changed),
        ];
        assert_eq!(found, expected.map(|(path, standing)| (path.to_owned(), standing)).into(), "{kind}");
        assert!(git.is_dirty("a.txt").await.unwrap() && !git.is_dirty("b.txt").await.unwrap(), "{kind}");
        assert_eq!(git.stored("a.txt").await.unwrap(), b"edited\n", "{kind}");
        assert_eq!(git.written("a.txt", b"x\n").await.unwrap(), b"x\n", "{kind}");
        git.stored("absent.txt").await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_asks_for_nothing_and_is_in_the_middle_of_nothing_says_so() {
    for yard in all().await {
        let (kind, git, base) = (yard.kind(), &yard.git, yard.tip().await);
        assert_eq!(git.customs().await.unwrap(), Customs::default(), "{kind}");
        let draft = yard.on(&base, "a.txt", "x\n").await;
        assert_eq!(git.vet(&draft, &yard.place("hooks")).await.unwrap(), Ok("made\n".to_owned()), "{kind}");
        assert_eq!(git.strayed().await.unwrap(), [""; 0], "{kind}");
        let (busy, unfinished) = (git.busy("main").await.unwrap(), git.unfinished().await.unwrap());
        assert_eq!((busy, unfinished, git.held_lock("main").await.unwrap()), (None, None, None), "{kind}");
        git.tidy(Some("r")).await.unwrap();
        assert_eq!(git.obstacle().await.unwrap(), None, "{kind}");
        git.keep("refs/heads/blueprint", &base).await.unwrap();
        let told = git.obstacle().await.unwrap().unwrap_or_default();
        assert!(told.contains("a branch is called `blueprint`"), "{kind}: {told}");
    }
}
