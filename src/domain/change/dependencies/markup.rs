//! Manifests in JSON and XML.

use std::collections::BTreeSet;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::Value;

/// `package.json`.
pub(crate) fn npm(text: &str) -> BTreeSet<String> {
    keys(text, &["dependencies", "optionalDependencies", "peerDependencies"])
}

/// `composer.json`; the language itself and its extensions are the platform's.
pub(super) fn composer(text: &str) -> BTreeSet<String> {
    keys(text, &["require"]).into_iter().filter(|name| name.contains('/')).collect()
}

fn keys(text: &str, sections: &[&str]) -> BTreeSet<String> {
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    sections.iter().filter_map(|s| parsed[*s].as_object()).flat_map(|map| map.keys().cloned()).collect()
}

/// `pom.xml`: every dependency that is not only for tests.
pub(crate) fn maven(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut path = Vec::new();
    let (mut group, mut artifact, mut scope) = (String::new(), String::new(), String::new());
    let mut reader = Reader::from_str(text);
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) => {
                path.push(name(&tag));
                if path.last().is_some_and(|p| p == "dependency") {
                    (group, artifact, scope) = Default::default();
                }
            }
            Event::Text(said) => {
                let [.., parent, field] = path.as_slice() else { continue };
                let field = match field.as_str() {
                    "groupId" => &mut group,
                    "artifactId" => &mut artifact,
                    "scope" => &mut scope,
                    _ => continue,
                };
                if parent == "dependency" {
                    *field = said.trim().to_owned();
                }
            }
            Event::End(_) => {
                let closed = path.pop();
                if closed.is_some_and(|name| name == "dependency") && scope != "test" {
                    names.insert(format!("{group}:{artifact}"));
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    names
}

/// A .NET project: its `PackageReference`s.
pub(super) fn dotnet(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut reader = Reader::from_str(text);
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) | Event::Empty(tag) if name(&tag) == "PackageReference" => {
                let include = tag.try_get_attribute("Include").ok().flatten();
                let include =
                    include.and_then(|a| Some(a.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned()));
                names.extend(include);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    names
}

fn name(tag: &BytesStart<'_>) -> String {
    let name = tag.local_name();
    let name: &str = name.as_ref();
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: BTreeSet<String>) -> Vec<String> {
        names.into_iter().collect()
    }

    #[test]
    fn what_npm_installs_for_users_counts() {
        let text = r#"{"dependencies": {"a": "1"}, "devDependencies": {"b": "1"}, "peerDependencies": {"c": "1"}}"#;
        assert_eq!(all(npm(text)), ["a", "c"]);
        assert!(npm("{ broken").is_empty());
    }

    #[test]
    fn composer_needs_packages_and_not_the_platform() {
        let text = r#"{"require": {"php": ">=8", "ext-json": "*", "a/b": "1"}, "require-dev": {"c/d": "1"}}"#;
        assert_eq!(all(composer(text)), ["a/b"]);
    }

    #[test]
    fn a_pom_names_group_and_artifact_and_leaves_tests_out() {
        let text = "<project><groupId>me</groupId><dependencies>\
            <dependency><groupId>org.x</groupId><artifactId>y</artifactId>\
            <exclusions><exclusion><groupId>no</groupId><artifactId>no</artifactId></exclusion></exclusions></dependency>\
            <!-- <dependency><artifactId>old</artifactId></dependency> -->\
            <dependency><groupId>junit</groupId><artifactId>junit</artifactId><scope>test</scope></dependency>\
            </dependencies></project>";
        assert_eq!(all(maven(text)), ["org.x:y"]);
    }

    #[test]
    fn a_dotnet_project_includes_its_packages() {
        let text = "<Project><ItemGroup><PackageReference Include=\"Dapper\" Version=\"2\" />\
            <PackageReference Include=\"Npgsql\"><Version>8</Version></PackageReference>\
            <ProjectReference Include=\"../a.csproj\" /></ItemGroup></Project>";
        assert_eq!(all(dotnet(text)), ["Dapper", "Npgsql"]);
    }
}
