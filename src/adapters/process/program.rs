//! How a document or a configuration names a program, and how words are added to it.

use std::fmt;
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
            Self::Shell(line) if extra.is_empty() => Command::shell(line, dir),
            Self::Shell(line) => {
                let script = format!("{} \"$@\"", line.trim_end());
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
        assert_eq!(command.args, ["-c", "pytest -q \"$@\"", "sh", "$(touch x)"]);
    }

    #[test]
    fn words_added_to_a_vector_follow_its_own() {
        let program = Program::Argv(vec!["cargo".to_owned(), "test".to_owned()]);
        let command = program.command(&["--".to_owned()], Path::new("/tree"));
        assert_eq!((command.program.to_str(), command.args.len()), (Some("cargo"), 2));
    }
}
