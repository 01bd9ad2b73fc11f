//! A program with placeholders in its words, as the configuration writes it, and any other text with them.

use serde::Deserialize;

/// What a template may hold, with what it stands for.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("prompt", "the whole prompt, as part of one argument"),
    ("prompt_file", "the path of a file that holds the prompt"),
    ("variant", "the variant's key"),
    ("step", "the number of the work item, from 1"),
    ("worktree", "the directory to work in"),
    ("tokens", "what the step may use; empty without a cap"),
    ("model", "the model's name; empty where none is configured"),
    ("key", "the trial's key for models, worth nothing elsewhere; empty without models"),
    ("base_anthropic", "the base URL for Anthropic's protocol; empty without models"),
    ("base_openai", "the base URL for OpenAI's protocols, with its `/v1`; empty without models"),
    ("base_gemini", "the base URL for Gemini's protocol; empty without models"),
];

/// What the presets' own texts may hold besides.
const PRESET_PLACEHOLDERS: &[(&str, &str)] = &[("home", "the private home directory of the step")];

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No program.
    #[error("the command is empty; name a program and its arguments, such as `codex exec {{prompt}}`")]
    Empty,
    /// Quotes that do not close.
    #[error("`{line}` can't be split into words: {why}")]
    Words {
        /// As written.
        line: String,
        /// What is wrong.
        why: String,
    },
    /// A placeholder nobody knows.
    #[error("`{{{name}}}` in `{word}` is not a placeholder; known are {}", known())]
    Unknown {
        /// Without its braces.
        name: String,
        /// Where it stands.
        word: String,
    },
}

fn known() -> String {
    PLACEHOLDERS.iter().map(|(name, _)| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
}

/// A program and its arguments with known placeholders in them. No shell ever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    words: Vec<Text>,
}

/// A text with known placeholders in it, such as one word of a command or a whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(Vec<Piece>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A name out of [`PLACEHOLDERS`].
    Hole(String),
}

impl Template {
    /// From one line, split into words as a shell would, and nothing else that a shell does.
    pub fn from_line(line: &str) -> Result<Self, TemplateError> {
        let words = shell_words::split(line)
            .map_err(|why| TemplateError::Words { line: line.to_owned(), why: why.to_string() })?;
        Self::new(line.trim().to_owned(), &words)
    }

    /// From a program and its arguments.
    pub fn from_words(words: &[String]) -> Result<Self, TemplateError> {
        Self::new(words.join(" "), words)
    }

    fn new(text: String, words: &[String]) -> Result<Self, TemplateError> {
        if words.first().is_none_or(String::is_empty) {
            return Err(TemplateError::Empty);
        }
        let words = words.iter().map(|word| pieces(word, &[PLACEHOLDERS])).collect::<Result<_, _>>()?;
        Ok(Self { text, words })
    }

    /// As the configuration has it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The program, where no placeholder stands in it.
    pub fn program(&self) -> Option<&str> {
        match self.words.first().map(|word| word.0.as_slice()) {
            Some([Piece::Text(program)]) => Some(program),
            _ => None,
        }
    }

    /// The words with their placeholders replaced. What a value holds is not looked at again.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> Vec<String> {
        self.words.iter().map(|word| word.fill(&value)).collect()
    }
}

impl Text {
    /// The text with its placeholders replaced. What a value holds is not looked at again.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let filled = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(name) => value(name),
        };
        self.0.iter().map(filled).collect()
    }

    /// The placeholders in it.
    #[cfg(test)]
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}

/// Of a preset: more placeholders are known there.
impl TryFrom<String> for Text {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        pieces(&text, &[PLACEHOLDERS, PRESET_PLACEHOLDERS])
    }
}

/// `{name}` is a placeholder; any other brace is text, so that JSON can stand in an argument.
fn pieces(word: &str, known: &[&[(&str, &str)]]) -> Result<Text, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
        let name = &after[..end];
        if name.is_empty() || !after[end..].starts_with('}') {
            text.push('{');
            rest = after;
            continue;
        }
        if !known.iter().copied().flatten().any(|(known, _)| *known == name) {
            return Err(TemplateError::Unknown { name: name.to_owned(), word: word.to_owned() });
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Hole(name.to_owned()));
        rest = &after[end + 1..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(Text(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> Vec<String> {
        Template::from_line(line).unwrap().fill(|name| format!("<{name} {{step}}>"))
    }

    #[test]
    fn a_placeholder_becomes_one_argument_whatever_it_holds() {
        assert_eq!(
            filled("run --at={worktree}/x 'a b' {prompt}"),
            ["run", "--at=<worktree {step}>/x", "a b", "<prompt {step}>"]
        );
    }

    #[test]
    fn braces_that_hold_no_name_are_text() {
        assert_eq!(
            filled(r#"run '{"a": {}}' '{' '{ step }' '{{step}}'"#),
            ["run", r#"{"a": {}}"#, "{", "{ step }", "{<step {step}>}"]
        );
    }

    #[test]
    fn a_command_knows_no_home_of_its_own_and_a_preset_does() {
        assert!(Template::from_line("run {home}").is_err());
        let text = Text::try_from("{\"{model}\": \"{env:KEY}\"} {home}".to_owned()).unwrap();
        assert_eq!(text.fill(|name| name.to_uppercase()), "{\"MODEL\": \"{env:KEY}\"} HOME");
        assert_eq!(text.holes().collect::<Vec<_>>(), ["model", "home"]);
    }

    #[test]
    fn a_shell_is_never_asked() {
        assert_eq!(filled("echo $HOME; rm *"), ["echo", "$HOME;", "rm", "*"]);
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_reason() {
        let error = |line: &str| Template::from_line(line).unwrap_err().to_string();
        insta::assert_snapshot!(
            [error("codex exec {promt}"), error("sh 'open"), error("  "), error("''")].join("\n"),
            @r"
        `{promt}` in `{promt}` is not a placeholder; known are `{prompt}`, `{prompt_file}`, `{variant}`, `{step}`, `{worktree}`, `{tokens}`, `{model}`, `{key}`, `{base_anthropic}`, `{base_openai}`, `{base_gemini}`
        `sh 'open` can't be split into words: missing closing quote
        the command is empty; name a program and its arguments, such as `codex exec {prompt}`
        the command is empty; name a program and its arguments, such as `codex exec {prompt}`
        "
        );
    }

    proptest::proptest! {
        #[test]
        fn a_word_without_placeholders_comes_back_as_it_was(word in "[^{]{1,40}") {
            let template = Template::from_words(&["run".to_owned(), word.clone()]).unwrap();
            proptest::prop_assert_eq!(&template.fill(|_| String::new())[1], &word);
        }

        #[test]
        fn no_text_makes_it_panic(line in "\\PC{0,60}") {
            drop(Template::from_line(&line));
        }
    }
}
