//! Repositories with Git LFS: contents are where their pointers are, and a pointer to nothing never lands.

mod common;

use std::path::PathBuf;

use common::Repo;
use common::arena::{Arena, DOCUMENT};

const MODEL: &str = "m";
const BYTES: usize = 100_000;

/// An arena in which files that end in `.bin` are in LFS, one of which the tests read, and whose agent works by this script.
fn arena(script: &str, more: &[&str]) -> Repo {
    let arena = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    let install: Vec<&str> = ["lfs", "install", "--local"].iter().chain(more).copied().collect();
    repo.git(&install);
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    repo.write("model.bin", &MODEL.repeat(BYTES));
    let reads = format!("#!/bin/sh\ntest $(wc -c <model.bin) = {BYTES} && test \"$(cat cost.txt)\" -lt 1000\n");
    repo.write("tests/run.sh", &reads);
    let sets = "case $BLUEPRINT_VARIANT in A) echo 20 >cost.txt;; *) echo 60 >cost.txt;; esac\nmkdir -p data\n";
    repo.write("agent.sh", &format!("{sets}{script}\n"));
    repo.write(DOCUMENT, &repo.read(DOCUMENT).replace("cost.txt, notes/**", "cost.txt, data/**"));
    repo.commit("contents in LFS");
    repo
}

/// Whether the blob is a pointer, and its content in the store of the repository.
fn stored(repo: &Repo, blob: &str) -> bool {
    let text = repo.git(&["cat-file", "blob", blob]);
    let digest = text.lines().find_map(|line| line.strip_prefix("oid sha256:")).expect("a pointer").to_owned();
    let store = PathBuf::from(repo.git(&["rev-parse", "--absolute-git-dir"])).join("lfs/objects");
    store.join(&digest[..2]).join(&digest[2..4]).join(digest).exists()
}

const ADDS: &str = "head -c 5000 /dev/zero | tr '\\0' x >data/new.bin";

#[test]
fn what_lfs_has_is_there_when_it_is_judged_and_what_a_variant_adds_is_kept_and_lands() {
    let repo = arena(ADDS, &[]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
    assert_eq!(repo.read("data/new.bin"), "x".repeat(5000));
    assert_eq!(repo.read("model.bin").len(), BYTES);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let kept = repo.git(&["for-each-ref", "--format=%(refname)", "refs/blueprint"]);
    let all: Vec<String> = kept.lines().map(|name| format!("{name}:data/new.bin")).collect();
    assert_eq!(all.len(), 2, "{kept}");
    assert!(all.iter().chain([&"main:data/new.bin".to_owned()]).all(|blob| stored(&repo, blob)));
}

#[test]
fn contents_are_kept_where_the_repository_keeps_them() {
    let repo = arena(ADDS, &[]);
    let elsewhere = repo.dir.path().join("contents");
    std::fs::rename(repo.root().join(".git/lfs"), &elsewhere).unwrap();
    repo.git(&["config", "lfs.storage", elsewhere.to_str().unwrap()]);
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("data/new.bin"), "x".repeat(5000));
    assert!(!repo.root().join(".git/lfs/objects").exists());
}

#[test]
fn where_the_user_has_pointers_alone_variants_have_them_too_and_contents_that_they_add_are_kept() {
    let repo = arena(ADDS, &["--skip-smudge"]);
    repo.write("tests/run.sh", "#!/bin/sh\ngrep -q oid model.bin && test \"$(cat cost.txt)\" -lt 1000\n");
    repo.commit("pointers alone");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert!(stored(&repo, "main:data/new.bin"));
    assert!(repo.read("data/new.bin").contains("oid sha256:"), "as the user has them");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_pointer_to_nothing_puts_its_variant_out_and_the_other_lands() {
    let digest = "0123456789abcdef".repeat(4);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\\noid sha256:{digest}\\nsize 7\\n");
    // What its own git directory says of attributes is its own affair.
    let own = "echo '*.bin !filter' >\"$(git rev-parse --git-dir)/info/attributes\"";
    let repo = arena(&format!("[ $BLUEPRINT_VARIANT != A ] || {{ printf '{pointer}' >data/new.bin; {own}; }}"), &[]);
    let done = repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "60\n", "{}", done.out);
    done.says(&["A is out", "`data/new.bin` is a Git LFS pointer whose content is not in "]);
}

#[test]
fn a_text_that_only_looks_like_a_pointer_is_a_file_like_any_other_and_so_is_one_that_was_moved() {
    let digest = "0123456789abcdef".repeat(4);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\\noid sha256:{digest}\\nsize 7\\n");
    let repo = arena(&format!("printf '{pointer}' >data/example.txt; cp model.bin data/copy.bin"), &["--skip-smudge"]);
    std::fs::remove_dir_all(repo.root().join(".git/lfs/objects")).unwrap();
    // As in a clone whose contents are on a server.
    std::fs::remove_file(repo.root().join("model.bin")).unwrap();
    repo.git(&["checkout", "--", "model.bin"]);
    repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -lt 1000\n");
    repo.commit("tests that need no content");
    repo.blueprint(&["run", DOCUMENT]).ends_with(0);
    assert_eq!(repo.read("cost.txt"), "20\n");
    assert!(repo.read("data/copy.bin").contains("oid sha256:"));
}

#[test]
fn a_checkout_that_a_filter_leaves_half_way_is_as_it_was_and_the_landing_can_be_resumed() {
    let arena = Arena { agent: "{command: \"sh agent.sh\"}".to_owned(), ..Arena::default() };
    let repo = arena.build();
    // It fails in the user's own checkout, as one whose server is away.
    let smudge = "case $PWD in */repo) test ! -e ../away || exit 1;; esac; cat";
    repo.git(&["config", "filter.far.smudge", smudge]);
    repo.git(&["config", "filter.far.clean", "cat"]);
    repo.git(&["config", "filter.far.required", "true"]);
    repo.write(".gitattributes", "*.far filter=far\n");
    repo.write(
        "agent.sh",
        "echo 20 >cost.txt; mkdir -p notes/deep; echo x >notes/a.txt; echo x >notes/deep/b.far; echo y >notes/z\n",
    );
    repo.write("staged.txt", "old\n");
    let before = repo.commit("a filter");
    repo.write("staged.txt", "staged\n");
    repo.git(&["add", "staged.txt"]);
    repo.write("staged.txt", "and changed\n");
    repo.write("untracked.txt", "mine\n");
    let status = repo.git(&["status", "--porcelain"]);
    std::fs::write(repo.dir.path().join("away"), "").unwrap();
    let done = repo.blueprint(&["run", DOCUMENT]);
    assert_ne!(done.code, 0, "{}", done.out);
    assert!(done.err.contains("notes/deep/b.far") || done.err.contains("far"), "{}", done.err);
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
    assert_eq!(repo.git(&["status", "--porcelain"]), status, "{}", done.err);
    assert_eq!((repo.read("cost.txt"), repo.read("staged.txt")), ("90\n".to_owned(), "and changed\n".to_owned()));
    assert!(!repo.root().join("notes").exists());
    std::fs::remove_file(repo.dir.path().join("away")).unwrap();
    repo.blueprint(&["resume"]).ends_with(0);
    assert_eq!(repo.read("notes/deep/b.far"), "x\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), status);
}
