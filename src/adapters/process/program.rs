//! How a document or a configuration names a program, and how words are added to it.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Command;

/// A program to run in a contender's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// From the document: a program and its arguments, never given to a shell.
    Argv(Vec<String>),
    /// From the user's configuration: a line for `sh -c`.
    Shell(String),
}

/// What makes a line more than words: a shell has to read it.
const SHELL_CHARACTERS: &[char] =
    &['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '[', ']', '#', '~', '%', '{', '}', '!', '\n'];

/// What lets a line be more than one program.
const COMPOUND: &[char] = &['|', '&', ';', '(', ')', '`', '{', '}', '!', '#', '\n'];

/// First words that mean something to the shell itself (POSIX, and what dash and bash add).
const BUILTINS: &[&str] = &[
    ".", ":", "[", "alias", "bg", "break", "case", "cd", "command", "continue", "echo", "eval", "exec", "exit",
    "export", "false", "fg", "for", "getopts", "hash", "if", "jobs", "kill", "local", "printf", "pwd", "read",
    "readonly", "return", "set", "shift", "source", "test", "times", "trap", "true", "type", "ulimit", "umask",
    "unalias", "unset", "until", "wait", "while",
];

/// The line as the shell gets it. A single program takes the shell's place, so that the process
/// that is started, stopped and metered is the program itself.
fn script(line: &str) -> String {
    let line = line.trim();
    let first = line.split_ascii_whitespace().next().unwrap_or_default();
    let plain = first.chars().all(|c| c.is_ascii_alphanumeric() || "./_-+".contains(c));
    let single = plain && !first.is_empty() && !BUILTINS.contains(&first) && !line.contains(COMPOUND);
    if single { format!("exec {line}") } else { line.to_owned() }
}

impl Program {
    /// The words, where they are known without a shell: none of its characters occur and no
    /// variable is set in front of the program.
    pub fn words(&self) -> Option<Vec<String>> {
        match self {
            Self::Argv(words) => Some(words.clone()),
            Self::Shell(line) if line.contains(SHELL_CHARACTERS) => None,
            Self::Shell(line) => {
                shell_words::split(line).ok().filter(|w| w.first().is_some_and(|first| !first.contains('=')))
            }
        }
    }

    /// The command with these words added at its end. A shell line gets them behind its last
    /// word as they are, whatever characters they hold.
    pub fn command(&self, extra: &[String], dir: &Path) -> Command {
        match self {
            Self::Argv(words) => {
                let program = words.first().cloned().unwrap_or_default();
                Command::new(program, words.iter().skip(1).chain(extra).cloned(), dir)
            }
            Self::Shell(line) if extra.is_empty() => Command::shell(&script(line), dir),
            Self::Shell(line) => {
                let script = format!("{} \"$@\"", script(line));
                let head = ["-c".to_owned(), script, "sh".to_owned()];
                Command::new("sh", head.into_iter().chain(extra.iter().cloned()), dir)
            }
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argv(words) => f.pad(&shell_words::join(words)),
            Self::Shell(line) => f.pad(line.trim()),
        }
    }
}

/// Whether a program can be found before anything runs. A path inside a tree can't be judged yet: set-up may make it.
pub fn installed(program: &str) -> bool {
    let path = Path::new(program);
    if path.is_absolute() {
        return executable(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    program.contains('/') || std::env::split_paths(&folders).any(|folder| executable(&folder.join(program)))
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Program {
        Program::Shell(line.to_owned())
    }

    #[test]
    fn words_of_a_line_are_known_only_where_a_shell_adds_nothing() {
        assert_eq!(shell("pytest -q 'a b'").words().unwrap(), ["pytest", "-q", "a b"]);
        for line in ["pytest | tee log", "A=1 pytest", "pytest $DIR", "pytest 'open", ""] {
            assert_eq!(shell(line).words(), None, "{line}");
        }
    }

    #[test]
    fn words_added_to_a_shell_line_are_never_read_by_the_shell() {
        let command = shell("pytest -q\n").command(&["$(touch x)".to_owned()], Path::new("/tree"));
        assert_eq!(command.args, ["-c", "exec pytest -q \"$@\"", "sh", "$(touch x)"]);
    }

    #[test]
    fn a_single_program_takes_the_shells_place_and_anything_else_is_left_to_it() {
        for line in ["python3 -S bench.py", "./bench/run.sh $X >log 2>/dev/null", "  env A=1 make  "] {
            assert_eq!(script(line), format!("exec {}", line.trim()));
        }
        for line in ["cd x && make", "A=1 make", "make; true", "echo 1", "$TOOL x", "(make)", "make | cat", ""] {
            assert_eq!(script(line), line);
        }
    }

    #[test]
    fn words_added_to_a_vector_follow_its_own() {
        let program = Program::Argv(vec!["cargo".to_owned(), "test".to_owned()]);
        let command = program.command(&["--".to_owned()], Path::new("/tree"));
        assert_eq!((command.program.to_str(), command.args.len()), (Some("cargo"), 2));
    }
}
