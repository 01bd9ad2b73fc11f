//! What manifests say that production code depends on. What is for tests, for development or comes
//! in through another dependency does not count.

mod lists;
mod markup;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use super::super::trial::NewDependency;
use super::FileChange;

/// The kinds of manifests that are read. A build file that is only partly understood yields the
/// names that it states plainly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manifest {
    Cargo,
    Npm,
    Go,
    Pyproject,
    Requirements,
    Gemfile,
    Composer,
    Maven,
    Gradle,
    DotNet,
}

impl Manifest {
    /// Which kind a path is, if any.
    pub fn of(path: &str) -> Option<Self> {
        let lower = path.to_ascii_lowercase();
        let (folder, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        Some(match name {
            "cargo.toml" => Self::Cargo,
            "package.json" => Self::Npm,
            "go.mod" => Self::Go,
            "pyproject.toml" => Self::Pyproject,
            "gemfile" => Self::Gemfile,
            "composer.json" => Self::Composer,
            "pom.xml" => Self::Maven,
            "build.gradle" | "build.gradle.kts" => Self::Gradle,
            _ if ["csproj", "fsproj", "vbproj"].contains(&extension) => Self::DotNet,
            _ if extension == "txt" && (name.starts_with("requirements") || folder.ends_with("requirements")) => {
                Self::Requirements
            }
            _ => return None,
        })
    }

    /// Whether the file is a program besides, so that its lines count too.
    pub(super) fn is_program(self) -> bool {
        self == Self::Gradle
    }

    /// Names in one manifest are the same as in another of the same group.
    fn group(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Go => "go",
            Self::Pyproject | Self::Requirements => "python",
            Self::Gemfile => "ruby",
            Self::Composer => "php",
            Self::Maven | Self::Gradle => "jvm",
            Self::DotNet => "dotnet",
        }
    }

    /// Names of the dependencies that a manifest states for production; none where it can't be read.
    fn names(self, path: &str, text: &str) -> BTreeSet<String> {
        match self {
            Self::Cargo => tables::cargo(text),
            Self::Pyproject => tables::pyproject(text),
            Self::Npm => markup::npm(text),
            Self::Composer => markup::composer(text),
            Self::Maven => markup::maven(text),
            Self::DotNet => markup::dotnet(text),
            Self::Go => lists::go(text),
            Self::Gemfile => lists::gemfile(text),
            Self::Gradle => lists::gradle(text),
            Self::Requirements if lists::is_for_development(path) => BTreeSet::new(),
            Self::Requirements => text.lines().filter_map(lists::requirement).collect(),
        }
    }
}

/// Dependencies that the changed manifests name now and none of them named before: one that moves
/// from a package of a workspace to another is not new, and one that several name counts once.
pub fn new<'a>(manifests: impl IntoIterator<Item = (Manifest, &'a FileChange)>) -> Vec<NewDependency> {
    let mut before = BTreeSet::new();
    let mut after = BTreeMap::new();
    for (manifest, change) in manifests {
        let names = |text: &Option<String>| manifest.names(&change.path, text.as_deref().unwrap_or_default());
        before.extend(names(&change.before).into_iter().map(|name| (manifest.group(), name)));
        for name in names(&change.after) {
            after.entry((manifest.group(), name)).or_insert(&change.path);
        }
    }
    let new = after.into_iter().filter(|(key, _)| !before.contains(key));
    new.map(|((_, name), manifest)| NewDependency { name, manifest: manifest.clone() }).collect()
}
