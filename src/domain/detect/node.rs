//! JavaScript and TypeScript: npm, pnpm and yarn with vitest, mocha, jest and Node's own runner.

use serde_json::Value;

use super::{Folder, Found, Metric, metric_name};

/// What says which versions are installed, in the order in which a manager is told by them.
pub(crate) const LOCKS: &[&str] = &["pnpm-lock.yaml", "yarn.lock", "package-lock.json", "npm-shrinkwrap.json"];

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Npm,
    Pnpm,
    Yarn,
}

/// What a package's script for tests comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Vitest,
    Mocha,
    Jest,
    Node,
    /// One that we do not know, or a script that does more than call one.
    Other,
}

const RUNNERS: [(&str, Runner); 3] = [("vitest", Runner::Vitest), ("mocha", Runner::Mocha), ("jest", Runner::Jest)];

impl Manager {
    fn of(folder: &Folder<'_>, package: &Value) -> (Self, &'static str) {
        let said = package["packageManager"].as_str().unwrap_or_default();
        match () {
            () if folder.has("pnpm-lock.yaml") => (Self::Pnpm, "pnpm-lock.yaml"),
            () if folder.has("yarn.lock") => (Self::Yarn, "yarn.lock"),
            () if folder.has("package-lock.json") => (Self::Npm, "package-lock.json"),
            () if folder.has("npm-shrinkwrap.json") => (Self::Npm, "npm-shrinkwrap.json"),
            () if said.starts_with("pnpm") => (Self::Pnpm, "package.json"),
            () if said.starts_with("yarn") => (Self::Yarn, "package.json"),
            () => (Self::Npm, "package.json"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
        }
    }

    /// What installs exactly what the lock file says, where there is one.
    fn install(self, folder: &Folder<'_>, locked: bool) -> &'static str {
        match (self, locked) {
            (Self::Npm, true) => "npm ci",
            (Self::Npm, false) => "npm install --no-package-lock",
            (Self::Pnpm, true) => "pnpm install --frozen-lockfile",
            (Self::Pnpm, false) => "pnpm install --no-lockfile",
            (Self::Yarn, true) if folder.has(".yarnrc.yml") => "yarn install --immutable",
            (Self::Yarn, true) => "yarn install --frozen-lockfile",
            (Self::Yarn, false) => "yarn install",
        }
    }

    /// A script with more arguments, and nothing on standard output but what the script prints.
    fn script(self, folder: &Folder<'_>, name: &str, more: &str) -> String {
        let quiet = match self {
            Self::Npm => "npm --silent run",
            Self::Pnpm => "pnpm --silent run",
            // Later versions print nothing of their own, and know no such option.
            Self::Yarn if folder.has(".yarnrc.yml") => "yarn run",
            Self::Yarn => "yarn --silent run",
        };
        let dashes = if self == Self::Npm && !more.is_empty() { " --" } else { "" };
        format!("{quiet} {name}{dashes}{more}")
    }
}

/// Whether a package has tests of its own, so that those below it are its workspaces.
pub(super) fn has_tests(folder: &Folder<'_>) -> bool {
    find(folder).is_some_and(|found| !found.tests.is_empty())
}

/// A package.
pub fn find(folder: &Folder<'_>) -> Option<Found> {
    folder.has("package.json").then_some(())?;
    let package: Value = serde_json::from_str(folder.text("package.json")).unwrap_or_default();
    let (manager, because) = Manager::of(folder, &package);
    let mut found = Found::of(folder, &[(manager.name(), because)]);
    let needs = |group: &str| package[group].as_object().is_some_and(|map| !map.is_empty());
    if ["dependencies", "devDependencies", "optionalDependencies"].iter().any(|g| needs(g))
        || package["workspaces"].is_array()
    {
        found.setup.push(folder.shell(manager.install(folder, because != "package.json")));
    }
    let script = |name: &str| package["scripts"][name].as_str().filter(|text| !text.contains("no test specified"));
    if script("build").is_some() {
        found.build.push(folder.shell(&manager.script(folder, "build", "")));
    }
    tests(folder, &mut found, manager, script("test"), &package);
    if let Some(name) = ["bench", "benchmark"].into_iter().find(|name| script(name).is_some()) {
        found.add(folder, "bench script", "package.json");
        let run = folder.shell(&manager.script(folder, name, ""));
        let named = metric_name("bench time");
        found.metrics.extend(named.map(|name| Metric { name, from: "time", run, test: None, stat: None }));
    }
    found.files = folder.code(&["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "vue", "svelte"]);
    let beside = |mark: &str| folder.files().any(|(path, _)| path.contains(mark));
    let marks = [(".test.", "**/*.test.*"), (".spec.", "**/*.spec.*"), ("__tests__/", "**/__tests__/**")];
    found.protect.extend(marks.iter().filter(|(mark, _)| beside(mark)).map(|(_, glob)| folder.path(glob)));
    Some(found)
}

/// The tests, told to report a case each where the runner can.
fn tests(folder: &Folder<'_>, found: &mut Found, manager: Manager, script: Option<&str>, package: &Value) {
    let Some(script) = script else {
        let own = folder.files().find(|(_, text)| text.contains("node:test"));
        if let Some((because, _)) = own {
            found.add(folder, "node --test", because);
            node(folder, found, "node --test");
        }
        return;
    };
    let uses = |name: &str| ["dependencies", "devDependencies"].iter().any(|group| !package[*group][name].is_null());
    match runner(script) {
        Runner::Vitest => {
            found.add(folder, "vitest", "package.json");
            // Without a terminal to watch from it runs once all the same.
            let once = if script.contains(" run") || script.contains("--run") { "" } else { " --run" };
            let more = format!("{once} --reporter=junit --outputFile=\"$BLUEPRINT_JUNIT\"");
            found.suite(folder, "vitest", &manager.script(folder, "test", &more));
        }
        Runner::Mocha => {
            found.add(folder, "mocha", "package.json");
            found.suite(folder, "mocha", &manager.script(folder, "test", " --reporter tap"));
        }
        Runner::Jest if uses("jest-junit") => {
            found.add(folder, "jest", "package.json");
            let run = manager.script(folder, "test", " --ci --reporters=default --reporters=jest-junit");
            found.suite(folder, "jest", &format!("JEST_JUNIT_OUTPUT_FILE=\"$BLUEPRINT_JUNIT\" {run}"));
        }
        Runner::Jest => {
            found.add(folder, "jest", "package.json");
            found
                .notes
                .push("jest's tests are one case together; with the package jest-junit they are one each".to_owned());
            found.suite(folder, "jest", &manager.script(folder, "test", " --ci"));
        }
        Runner::Node => {
            found.add(folder, "node --test", "package.json");
            node(folder, found, script);
        }
        Runner::Other => found.command(folder, manager.name(), &format!("{} test", manager.name())),
    }
}

/// Node's own runner. Options behind its files would be files, so the reporter goes in front.
fn node(folder: &Folder<'_>, found: &mut Found, script: &str) {
    let line = script.replacen("--test", "--test --test-reporter=tap", 1);
    let plain = !line.contains(['*', '$', '~', '"', '\'', '{', '?']);
    if plain {
        found.command(folder, "node", &line);
    } else {
        found.suite(folder, "node", &line);
    }
}

/// The runner that a script ends with: arguments that are added to the script are its own.
fn runner(script: &str) -> Runner {
    if script.contains(['|', ';', '`', '\n']) {
        return Runner::Other;
    }
    let commands: Vec<_> = script.split("&&").map(str::trim).collect();
    let last = commands.last().copied().unwrap_or_default();
    let words: Vec<_> = last.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    if let Some((_, runner)) = RUNNERS.iter().find(|(name, _)| *name == first) {
        return *runner;
    }
    let plain = commands.len() == 1 && words.contains(&"--test") && !last.contains("--test-reporter");
    if first == "node" && plain { Runner::Node } else { Runner::Other }
}
