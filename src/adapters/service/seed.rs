//! The seed: files of SQL that make a template, and the digest that a template is keyed by.

use std::path::PathBuf;

use super::ServiceError;
use crate::adapters::sql::digest;
use crate::adapters::sql::script::ScriptError;

/// Part of every digest: raised when templates are built in another way.
const FORMAT: &str = "1";

/// Seed files with their content.
pub(super) struct Seed {
    files: Vec<(PathBuf, String)>,
}

impl Seed {
    /// Reads the files.
    pub fn read(files: &[PathBuf]) -> Result<Self, ServiceError> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|why| ServiceError::Failed {
                what: format!("reading the seed {}", path.display()),
                why: why.to_string(),
            })?;
            Ok((path.clone(), text))
        };
        Ok(Self { files: files.iter().map(read).collect::<Result<_, ServiceError>>()? })
    }

    /// Equal for equal files on an equal ground (kind and version).
    pub fn digest(&self, ground: &str) -> String {
        let texts = self.files.iter().map(|(_, text)| text.as_bytes());
        digest([FORMAT.as_bytes(), ground.as_bytes()].into_iter().chain(texts), 16)
    }

    /// The content of each file, in order, with its name for messages.
    pub fn scripts(&self) -> impl Iterator<Item = Script<'_>> {
        self.files.iter().map(|(path, text)| Script { name: path.display().to_string(), text })
    }

    /// The first of these words that the seed holds outside of comments.
    pub(super) fn word(&self, words: &[&'static str]) -> Option<&'static str> {
        let lines = self.files.iter().flat_map(|(_, text)| text.lines());
        let code = lines.filter(|line| !line.trim_start().starts_with("--")).map(str::to_ascii_lowercase);
        let mut found = code.filter_map(|line| words.iter().find(|word| has_word(&line, word)).copied());
        found.next()
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|found| found == word)
}

/// One file of a seed.
pub struct Script<'a> {
    /// Its path.
    pub name: String,
    /// Its content.
    pub text: &'a str,
}

impl Script<'_> {
    /// The error of a statement, with file and line.
    pub fn failed(&self, error: &ScriptError) -> ServiceError {
        ServiceError::Failed { what: format!("{}:{}", self.name, error.line), why: error.why.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(texts: &[&str]) -> Seed {
        Seed { files: texts.iter().map(|text| (PathBuf::from("s.sql"), (*text).to_owned())).collect() }
    }

    #[test]
    fn the_digest_tells_content_order_and_ground_apart() {
        let base = seed(&["a", "b"]).digest("15");
        assert_eq!(base, seed(&["a", "b"]).digest("15"));
        for (other, ground) in [(seed(&["b", "a"]), "15"), (seed(&["ab", ""]), "15"), (seed(&["a", "b"]), "16")] {
            assert_ne!(other.digest(ground), base);
        }
    }

    #[test]
    fn what_a_seed_is_written_for_is_known_by_its_words_and_not_by_its_comments() {
        let words = &["serial", "bigserial"];
        assert_eq!(seed(&["CREATE TABLE a (id BIGSERIAL);"]).word(words), Some("bigserial"));
        assert_eq!(seed(&["-- serial\nCREATE TABLE a (serials int);"]).word(words), None);
    }
}
