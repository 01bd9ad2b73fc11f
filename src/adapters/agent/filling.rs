//! What placeholders of a command stand for in one step, and the variables that tell a program how
//! to reach its model.

use super::Task;
use crate::domain::wire::{Access, Provider};

/// The kernel takes no longer argument (`MAX_ARG_STRLEN`), its final zero included.
pub(super) const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;

/// What one step fills placeholders with.
pub(super) struct Filling<'a> {
    /// The step.
    pub task: &'a Task<'a>,
    /// The whole prompt.
    pub prompt: &'a str,
    /// The file that holds it.
    pub file: &'a str,
    /// The model, where one is configured.
    pub model: Option<&'a str>,
}

impl Filling<'_> {
    /// What a placeholder stands for; nothing for one that this does not know.
    pub fn value(&self, name: &str) -> String {
        let task = self.task;
        let base = |provider| task.access.map(|access| access.base(provider)).unwrap_or_default();
        match name {
            "prompt" => self.prompt.to_owned(),
            "prompt_file" => self.file.to_owned(),
            "variant" => task.variant.key.to_string(),
            "step" => (task.step + 1).to_string(),
            "worktree" => task.worktree.display().to_string(),
            "tokens" => task.tokens.map(|tokens| tokens.0.to_string()).unwrap_or_default(),
            "model" => self.model.unwrap_or_default().to_owned(),
            "key" => task.access.map(|access| access.key.expose().to_owned()).unwrap_or_default(),
            "base_anthropic" => base(Provider::Anthropic),
            "base_openai" => base(Provider::OpenAi),
            "base_gemini" => base(Provider::Gemini),
            _ => String::new(),
        }
    }
}

/// The variables that every program gets that may reach a model.
pub fn variables(access: &Access) -> [(String, String); 4] {
    [
        ("BLUEPRINT_KEY".to_owned(), access.key.expose().to_owned()),
        ("BLUEPRINT_ANTHROPIC_URL".to_owned(), access.base(Provider::Anthropic)),
        ("BLUEPRINT_OPENAI_URL".to_owned(), access.base(Provider::OpenAi)),
        ("BLUEPRINT_GEMINI_URL".to_owned(), access.base(Provider::Gemini)),
    ]
}
