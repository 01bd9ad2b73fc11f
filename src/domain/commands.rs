//! What a command reads without naming it: the file that says what `make test` is, or which versions `cargo` builds with.

/// A file that a command reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// Relative to the folder that the line is run in; whether it is there is for others to see.
    pub path: String,
    /// Whether it says what the command does.
    pub recipe: bool,
}

/// Programs with the files that say what they do, and with those that say what they do it with.
const UNASKED: &[(&[&str], &[&str], &[&str])] = &[
    (&["make", "gmake"], &["GNUmakefile", "makefile", "Makefile"], &[]),
    (&["just"], &["justfile", "Justfile", ".justfile"], &[]),
    (&["task"], &["Taskfile.yml", "Taskfile.yaml"], &[]),
    (&["rake"], &["Rakefile"], &[]),
    (&["npm"], &["package.json"], &["package-lock.json", "npm-shrinkwrap.json"]),
    (&["pnpm"], &["package.json"], &["pnpm-lock.yaml"]),
    (&["yarn"], &["package.json"], &["yarn.lock"]),
    (&["cargo"], &[], &["Cargo.toml", "Cargo.lock"]),
    (&["go"], &[], &["go.mod", "go.sum"]),
    (&["uv"], &[], &["pyproject.toml", "uv.lock"]),
    (&["poetry"], &[], &["pyproject.toml", "poetry.lock"]),
];

/// Whether a file of this name, in small letters, says what a program does that reads it unasked.
pub fn is_recipe(name: &str) -> bool {
    UNASKED.iter().any(|(_, recipes, _)| recipes.iter().any(|recipe| recipe.eq_ignore_ascii_case(name)))
}

/// Programs whose words are names of what a file says, and no paths.
const MAKE: &[&str] = UNASKED[0].0;

/// Options of make that name a folder to go to, and a file to read.
const FOLDER: [&str; 2] = ["-C", "--directory"];
const FILE: [&str; 3] = ["-f", "--file", "--makefile"];

/// Words in front of a program.
const BEFORE: [&str; 6] = ["env", "time", "exec", "command", "nice", "!"];

const SHELLS: [&str; 4] = ["sh", "bash", "dash", "zsh"];

/// First words that are the shell's own, and no programs that have to be there.
const BUILTINS: &[&str] = &[
    ".", ":", "[", "[[", "break", "case", "cd", "continue", "do", "done", "echo", "elif", "else", "esac", "eval",
    "exit", "export", "false", "fi", "for", "if", "in", "kill", "local", "printf", "pwd", "read", "return", "set",
    "shift", "source", "test", "then", "trap", "true", "type", "ulimit", "umask", "unset", "until", "wait", "while",
];

/// What a shell line reads that way.
pub fn reads(line: &str) -> Vec<Read> {
    reads_in("", line)
}

/// What a program is called that is named by its place.
pub fn called(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The words of a shell line that may be paths: what make is told are none, nor where a line goes to.
pub fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for command in commands(line) {
        match program(&command) {
            Some(("cd", _)) => {}
            Some((name, _)) if MAKE.contains(&name) => {}
            Some((name, rest)) if SHELLS.contains(&name) => {
                let script = script(rest);
                found.extend(script.map(words).unwrap_or_default());
                found.extend(rest.iter().filter(|word| Some(word.as_str()) != script).cloned());
            }
            _ => found.extend(command),
        }
    }
    found
}

/// The programs that a shell line calls by their names alone, in order.
pub fn programs(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for command in commands(line) {
        let Some((name, rest)) = program(&command) else { continue };
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c));
        // One that is called by its path is the repository's own.
        if plain && !BUILTINS.contains(&name) && command.iter().any(|word| word == name) {
            found.push(name.to_owned());
        }
        if SHELLS.contains(&name) {
            found.extend(script(rest).map(programs).unwrap_or_default());
        }
    }
    found
}

/// What a shell is given to run.
fn script(words: &[String]) -> Option<&str> {
    let is_script = |word: &&String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
    words.iter().skip_while(|word| !is_script(word)).nth(1).map(String::as_str)
}

fn reads_in(folder: &str, line: &str) -> Vec<Read> {
    let (mut folder, mut found) = (folder.to_owned(), Vec::new());
    for command in commands(line) {
        let Some((name, words)) = program(&command) else { continue };
        if name == "cd" {
            folder = below(&folder, words.first().map_or("", String::as_str));
        } else if SHELLS.contains(&name) {
            found.extend(script(words).map(|script| reads_in(&folder, script)).unwrap_or_default());
        } else if let Some((names, recipes, others)) = UNASKED.iter().find(|(names, ..)| names.contains(&name)) {
            let make = *names == MAKE;
            let home = if make { below(&folder, &values(words, &FOLDER).concat()) } else { folder.clone() };
            let named = if make { values(words, &FILE) } else { Vec::new() };
            let recipes: Vec<&str> = if named.is_empty() { recipes.to_vec() } else { named };
            let read = |path: &str, recipe| Read { path: below(&home, path), recipe };
            found.extend(recipes.iter().map(|path| read(path, true)));
            found.extend(others.iter().map(|path| read(path, false)));
        }
    }
    found
}

/// What stands behind some options: as the next word, behind `=`, or right behind an option of one letter.
fn values<'a>(words: &'a [String], options: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if options.contains(&word.as_str()) {
            found.extend(words.get(at + 1).map(String::as_str));
            continue;
        }
        let rest = options.iter().find_map(|option| word.strip_prefix(option));
        let long = word.starts_with("--");
        found.extend(rest.and_then(|rest| if long { rest.strip_prefix('=') } else { Some(rest) }));
    }
    found
}

/// The program of a command, and the words behind it.
fn program(command: &[String]) -> Option<(&str, &[String])> {
    let is_before =
        |word: &String| BEFORE.contains(&word.as_str()) || word.split_once('=').is_some_and(|(name, _)| is_name(name));
    let at = command.iter().position(|word| !is_before(word))?;
    Some((called(&command[at]), &command[at + 1..]))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A path below a folder, both relative.
fn below(folder: &str, path: &str) -> String {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    match (folder, path) {
        (folder, "" | ".") => folder.to_owned(),
        ("", path) => path.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// The commands of a shell line, each as its words, without quotes.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut quote = None;
    for c in line.chars().chain(['\n']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, c) => {
                // A brace that begins a word is the shell's own, one within a word a variable's.
                let ends = ";&|()<>`\n".contains(c) || ("{}".contains(c) && word.is_empty());
                if !ends && !c.is_whitespace() {
                    word.push(c);
                    continue;
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if ends && !words.is_empty() {
                    all.push(std::mem::take(&mut words));
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipes(line: &str) -> Vec<String> {
        reads(line).into_iter().filter(|read| read.recipe).map(|read| read.path).collect()
    }

    #[test]
    fn make_reads_its_makefile_whatever_its_options_and_its_targets_are_no_paths() {
        let plain = ["GNUmakefile", "makefile", "Makefile"];
        for line in
            ["make", "make test", "make -j4 test", "make -j 4 -s test CFLAGS=-O2", "CC=cc nice /usr/bin/make test"]
        {
            assert_eq!(recipes(line), plain, "{line}");
            assert_eq!(words(line), [""; 0], "{line}");
        }
        assert_eq!(recipes("make -j4 -f ci/test.mk --makefile=more.mk test"), ["ci/test.mk", "more.mk"]);
        assert_eq!(recipes("make -C bench -fone.mk run")[..], ["bench/one.mk"]);
        assert_eq!(recipes("cd web && make --directory=./a test"), plain.map(|name| format!("web/a/{name}")));
        assert_eq!(recipes("sh -c 'cd x; make test'"), plain.map(|name| format!("x/{name}")));
        assert_eq!(recipes("cmake --build make"), [""; 0]);
    }

    #[test]
    fn what_says_the_versions_is_read_and_says_not_what_is_done() {
        let all = |line: &str| reads(line).into_iter().map(|read| (read.path, read.recipe)).collect::<Vec<_>>();
        let of = |path: &str, recipe| (path.to_owned(), recipe);
        assert_eq!(all("cargo bench --locked"), [of("Cargo.toml", false), of("Cargo.lock", false)]);
        let npm =
            [of("web/package.json", true), of("web/package-lock.json", false), of("web/npm-shrinkwrap.json", false)];
        assert_eq!(all("cd web && npm ci"), npm);
        assert_eq!(all("echo cargo; true"), []);
    }

    #[test]
    fn words_of_other_commands_stay_and_where_a_line_goes_is_none() {
        assert_eq!(words("cd web && sh ./run.sh 'a b' > out"), ["./run.sh", "a b", "out"]);
        assert_eq!(words("sh -c 'python3 tool.py x' && make test"), ["python3", "tool.py", "x", "-c"]);
    }

    #[test]
    fn a_line_calls_programs_and_not_what_the_shell_or_the_repository_has() {
        let of = |line: &str| programs(line).join(" ");
        assert_eq!(of("cd web && pnpm install --frozen-lockfile"), "pnpm");
        assert_eq!(of("POETRY_VIRTUALENVS_IN_PROJECT=true poetry install"), "poetry");
        assert_eq!(of("python3 -m venv .venv; .venv/bin/pip install -r a.txt | tee log"), "python3 tee");
        assert_eq!(of("if test -f a; then uv sync; fi; bash -ec 'cargo build && ./x'"), "bash cargo");
        assert_eq!(of("$TOOL run; echo ${A}"), "");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_line_is_it_is_read(line in ".{0,80}", more in "[a-z '\"&;/.=-]{0,60}") {
            reads(&line);
            programs(&line);
            words(&format!("make {more} sh -c {line}"));
        }
    }
}
