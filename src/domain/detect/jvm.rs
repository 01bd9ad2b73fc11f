//! Java and its relatives: Maven and Gradle.

use super::{Folder, Found};

/// Files that make a folder a Gradle build.
pub(super) const GRADLE: &[&str] = &["settings.gradle", "settings.gradle.kts", "build.gradle", "build.gradle.kts"];

/// A Maven project.
pub(crate) fn maven(folder: &Folder<'_>) -> Option<Found> {
    folder.has("pom.xml").then_some(())?;
    let mut found = Found::of(folder, &[("maven", "pom.xml")]);
    let program = if folder.has("mvnw") { "./mvnw" } else { "mvn" };
    found.build.push(folder.shell(&format!("{program} --batch-mode --quiet test-compile")));
    let run = format!("{program} --batch-mode test");
    found.suite(folder, "maven", &gathered(&run, "*/surefire-reports/TEST-*.xml"));
    sources(folder, &mut found);
    Some(found)
}

/// A Gradle build.
pub(crate) fn gradle(folder: &Folder<'_>) -> Option<Found> {
    let because = folder.first(GRADLE)?;
    let mut found = Found::of(folder, &[("gradle", because)]);
    let program = if folder.has("gradlew") { "./gradlew" } else { "gradle" };
    found.build.push(folder.shell(&format!("{program} --no-daemon --quiet testClasses")));
    let run = format!("{program} --no-daemon --continue test");
    found.suite(folder, "gradle", &gathered(&run, "*/test-results/*/TEST-*.xml"));
    sources(folder, &mut found);
    Some(found)
}

/// Both write a report a class. One document of all of them is what a suite's cases are read from; the status
/// stays the build's.
fn gathered(run: &str, reports: &str) -> String {
    format!(
        "{run}; status=$?; {{ echo '<testsuites>'; find . -path '{reports}' -exec sed 's/<?xml[^>]*?>//' {{}} +; \
         echo '</testsuites>'; }} >\"$BLUEPRINT_JUNIT\"; exit $status"
    )
}

fn sources(folder: &Folder<'_>, found: &mut Found) {
    let modules = folder.files().filter_map(|(path, _)| path.find("src/main/").map(|at| &path[..at]));
    for module in modules {
        let (code, tests) =
            (folder.path(&format!("{module}src/main/**")), folder.path(&format!("{module}src/test/**")));
        if !found.files.contains(&code) {
            found.files.push(code);
            found.protect.push(tests);
        }
    }
}
