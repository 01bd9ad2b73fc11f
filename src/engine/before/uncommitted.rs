//! Files that a plan names and that are not as the target branch has them. A run starts from that branch, so
//! whoever looks at the checkout sees something else than what is run.

use crate::adapters::git::{Git, Standing};
use crate::domain::change::exclusion;
use crate::domain::trial::Exclusion;
use crate::engine::before::target::Target;
use crate::error::Error;

/// A sentence for each of these files that is not committed on the target, with what to do about it.
pub async fn sentences(git: &dyn Git, target: &Target, named: &[String]) -> Result<Vec<String>, Error> {
    let found = git.uncommitted(&target.base, named).await?;
    Ok(found.iter().map(|(path, standing)| sentence(path, *standing, &target.branch)).collect())
}

fn sentence(path: &str, standing: Standing, branch: &str) -> String {
    let quoted = shell_words::quote(path);
    match standing {
        Standing::Changed => {
            format!("{path} has changes that are not committed on `{branch}`; commit them: git commit {quoted}")
        }
        Standing::Untracked => {
            format!("{path} is not committed on `{branch}`; commit it: git add {quoted} && git commit")
        }
        Standing::Ignored if exclusion(path) == Some(Exclusion::LockFile) => format!(
            "{path} is only on disk, because git ignores it, and each tree would find versions of its own; name it under \
             `carry`, or commit it: git add --force {quoted} && git commit"
        ),
        Standing::Ignored => {
            format!("{path} is only on disk, because git ignores it; commit it: git add --force {quoted} && git commit")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standing_is_one_sentence_with_what_to_do() {
        let all = [Standing::Changed, Standing::Untracked, Standing::Ignored];
        let text: Vec<_> = all.into_iter().map(|standing| sentence("bench/a b.sh", standing, "main")).collect();
        insta::assert_snapshot!(text.join("\n"), @"
        bench/a b.sh has changes that are not committed on `main`; commit them: git commit 'bench/a b.sh'
        bench/a b.sh is not committed on `main`; commit it: git add 'bench/a b.sh' && git commit
        bench/a b.sh is only on disk, because git ignores it; commit it: git add --force 'bench/a b.sh' && git commit
        ");
    }
}
