//! Whether a document may run: approved, committed, and unchanged since.

use crate::adapters::git::{CommitId, Git};
use crate::domain::document::{self, Document};
use crate::domain::plan::Status;
use crate::error::{Error, ExitCode};

/// What is known of a document before it runs.
pub struct Candidate<'a> {
    /// Relative to the repository's root.
    pub path: &'a str,
    /// As it is on disk.
    pub disk: &'a Document,
    /// The tip of the branch that the winner lands on.
    pub base: &'a CommitId,
    /// That branch.
    pub target: &'a str,
    /// Whether a document may be carried out once more in which a run recorded that nothing landed.
    pub again: bool,
}

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// May run.
    Approved,
    /// Not meant to run now; its status says why.
    NotNow(Status),
    /// A run recorded in it that nothing landed.
    Ended,
}

/// Tells whether the document may run. An error where it claims approval that it does not have.
pub async fn judge(candidate: &Candidate<'_>, git: &dyn Git) -> Result<Approval, Error> {
    match candidate.disk.plan().status {
        Status::Approved => {}
        Status::Failed if candidate.disk.run().is_some() => {
            return if candidate.again { judge_ended(candidate, git).await } else { Ok(Approval::Ended) };
        }
        status => return Ok(Approval::NotNow(status)),
    }
    let (path, target) = (candidate.path, candidate.target);
    let Some(bytes) = git.file_at(candidate.base, path).await? else {
        return Err(Error::refused(format!("{path} is not on `{target}`"))
            .hint(format!("commit it there first: git add {path} && git commit")));
    };
    let committed = Document::parse(&bytes).map_err(|_| {
        Error::refused(format!("{path} as committed on `{target}` is not a valid blueprint"))
            .hint("commit the corrected document first")
    })?;
    if let Some(digest) = &candidate.disk.plan().approved {
        if *digest != candidate.disk.digest() {
            return Err(edited(candidate, approved_version(candidate, digest, git).await?.as_ref()));
        }
    } else if committed.plan().status != Status::Approved {
        return Err(Error::refused(format!("the approval of {path} is not committed on `{target}`"))
            .hint(format!("commit it, or approve what it says now: blueprint approve {path}")));
    }
    if !document::same_outside_regions(candidate.disk, &committed) {
        return Err(edited(candidate, Some(&committed)));
    }
    Ok(Approval::Approved)
}

/// A recorded end takes the status `approved` away, and nothing else: the document is still approved where
/// what it asks for is what was approved before the end was recorded.
async fn judge_ended(candidate: &Candidate<'_>, git: &dyn Git) -> Result<Approval, Error> {
    let (path, target) = (candidate.path, candidate.target);
    let versions = git.versions(candidate.base, path).await?;
    let versions: Vec<_> = versions.iter().map(|bytes| Document::parse(bytes)).collect();
    let Some(Ok(committed)) = versions.first() else {
        return Err(Error::refused(format!("{path} is not on `{target}` as a valid blueprint"))
            .hint(format!("commit it there first: git add {path} && git commit")));
    };
    if committed.plan().status != Status::Failed || committed.run() != candidate.disk.run() {
        return Err(Error::refused(format!("the end that {path} tells of is not the one on `{target}`"))
            .hint(format!("take the committed document: git checkout {target} -- {path}")));
    }
    let digest = candidate.disk.digest();
    // Between the end and the approval there may be other ends, and nothing else.
    let before = versions.iter().flatten().find(|version| version.plan().status != Status::Failed);
    let by_status = before.filter(|version| version.plan().status == Status::Approved);
    match (&candidate.disk.plan().approved, by_status) {
        (Some(approved), _) if *approved == digest => {}
        (None, Some(version)) if version.digest() == digest => {}
        (Some(approved), _) => {
            return Err(edited(candidate, approved_version(candidate, approved, git).await?.as_ref()));
        }
        (None, version) => return Err(edited(candidate, version)),
    }
    if committed.digest() != digest {
        return Err(edited(candidate, Some(committed)));
    }
    Ok(Approval::Approved)
}

/// The newest committed version that was the approved one.
async fn approved_version(candidate: &Candidate<'_>, digest: &str, git: &dyn Git) -> Result<Option<Document>, Error> {
    let versions = git.versions(candidate.base, candidate.path).await?;
    Ok(versions.iter().filter_map(|bytes| Document::parse(bytes).ok()).find(|version| version.digest() == digest))
}

fn edited(candidate: &Candidate<'_>, approved: Option<&Document>) -> Error {
    let path = candidate.path;
    let mut message = format!("{path} was edited after it was approved");
    for (line, old, new) in
        approved.map(|a| document::changed_lines(a, candidate.disk)).unwrap_or_default().iter().take(20)
    {
        if !old.is_empty() {
            message.push_str(&format!("\n  line {line} was: {old}"));
        }
        if !new.is_empty() {
            message.push_str(&format!("\n  line {line}  is: {new}"));
        }
    }
    Error::new(ExitCode::Refused, message)
        .hint(format!("review it, then approve what it says now: blueprint approve {path}, and commit it"))
}

#[cfg(test)]
mod tests;
