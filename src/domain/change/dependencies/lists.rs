//! Manifests that state a dependency a line.

use std::collections::BTreeSet;

/// `go.mod`: what it requires directly.
pub fn go(text: &str) -> BTreeSet<String> {
    let mut block = String::new();
    let mut names = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let (said, note) = line.split_once("//").unwrap_or((line, ""));
        let mut words = said.split_whitespace();
        let first = words.next().unwrap_or_default();
        let module = match (block.as_str(), first) {
            ("", "require" | "replace" | "exclude" | "retract" | "tool") if said.trim_end().ends_with('(') => {
                block = first.to_owned();
                continue;
            }
            ("", "require") => words.next().unwrap_or_default(),
            (_, ")") => {
                block.clear();
                continue;
            }
            ("require", module) => module,
            _ => continue,
        };
        if !module.is_empty() && note.trim() != "indirect" {
            names.insert(module.trim_matches('"').to_owned());
        }
    }
    names
}

/// `Gemfile`: gems outside groups for tests and development.
pub(super) fn gemfile(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut outside = true;
    for line in text.lines().map(str::trim) {
        let is_dev = |line: &str| line.contains(":test") || line.contains(":development");
        if line.starts_with("group ") && line.ends_with(" do") {
            outside = !is_dev(line) || line.contains(":production");
        } else if line == "end" {
            outside = true;
        } else if let Some(rest) = line.strip_prefix("gem ").or_else(|| line.strip_prefix("gem(")) {
            let own_group = rest.contains("group") && is_dev(rest);
            names.extend(quoted(rest).next().filter(|_| outside && !own_group).map(str::to_owned));
        }
    }
    names
}

/// `build.gradle` and `build.gradle.kts`: `configuration "group:name:version"` and version catalogues' names.
pub(crate) fn gradle(text: &str) -> BTreeSet<String> {
    const CONFIGURATIONS: &[&str] =
        &["implementation", "api", "compileOnly", "runtimeOnly", "annotationProcessor", "kapt", "ksp"];
    let mut names = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let end = line.find([' ', '(']).unwrap_or(line.len());
        let (configuration, rest) = line.split_at(end);
        if !CONFIGURATIONS.contains(&configuration) {
            continue;
        }
        let coordinates = quoted(rest).find(|text| text.contains(':'));
        let module = coordinates.map(|text| text.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"));
        let catalogue = rest.trim_start_matches([' ', '(']).trim_end_matches(')');
        let catalogue = catalogue.starts_with("libs.").then(|| catalogue.to_owned());
        // A project's own modules are no dependencies.
        names.extend(module.or(catalogue).filter(|name| !name.starts_with(':')));
    }
    names
}

/// Texts in single or double quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'']).skip(1).step_by(2)
}

/// Whether a list of requirements says by its name that it is not for production.
pub(super) fn is_for_development(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    words.any(|word| ["dev", "develop", "development", "test", "tests", "lint", "docs", "doc", "ci"].contains(&word))
}

/// The name in a Python requirement, as package indexes spell it; none in an option or a comment.
pub(super) fn requirement(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with(['#', '-']) {
        return None;
    }
    let end = line.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(line.len());
    (end > 0).then(|| line[..end].to_ascii_lowercase().replace(['_', '.'], "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: BTreeSet<String>) -> Vec<String> {
        names.into_iter().collect()
    }

    #[test]
    fn go_requires_directly_in_lines_and_in_blocks() {
        let text = "module a.b/c\n\ngo 1.24\nrequire x.y/one v1.0.0 // direct\nrequire (\n\tx.y/two v1.0.0\n\
            \tx.y/far v1.0.0 // indirect\n)\nreplace (\n\tx.y/two => ../two\n)\nexclude x.y/old v1.0.0\n";
        assert_eq!(all(go(text)), ["x.y/one", "x.y/two"]);
    }

    #[test]
    fn gems_for_tests_and_development_do_not_count() {
        let text = "source 'https://x.test'\ngem 'rails', '~> 8'\ngroup :development, :test do\n  gem 'rspec'\nend\n\
            # gem 'old'\ngem \"pg\"\ngem 'pry', group: :development\n";
        assert_eq!(all(gemfile(text)), ["pg", "rails"]);
    }

    #[test]
    fn gradle_states_modules_in_both_of_its_languages() {
        let text = "dependencies {\n    implementation(\"org.x:y:1.0\")\n    api 'org.x:z:1.0'\n\
            \x20   testImplementation(\"junit:junit:4\")\n    implementation(libs.okio)\n    implementation project(':own')\n}\n";
        assert_eq!(all(gradle(text)), ["libs.okio", "org.x:y", "org.x:z"]);
    }

    #[test]
    fn a_requirement_is_its_name_whatever_follows() {
        for line in ["Flask", "flask==3.1", "flask[async]>=3 ; python_version > '3.8'", "flask @ https://x.test/f.whl"]
        {
            assert_eq!(requirement(line).as_deref(), Some("flask"), "{line}");
        }
        assert_eq!(requirement("ruamel.yaml_x").as_deref(), Some("ruamel-yaml-x"));
        for line in ["", "# flask", "-r base.txt", "--hash=sha256:0"] {
            assert_eq!(requirement(line), None, "{line}");
        }
        assert!(is_for_development("requirements/dev.txt") && is_for_development("requirements-test.txt"));
        assert!(!is_for_development("requirements/base.txt") && !is_for_development("device/requirements.txt"));
    }
}
