//! What the configuration says of the built-in agent.

use crate::domain::quantity::Tokens;
use crate::domain::wire::Wire;

/// Which model, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// As the provider names it.
    pub model: String,
    /// [`Wire::Messages`] or [`Wire::Chat`]; it speaks no other.
    pub wire: Wire,
    /// What one answer may be long at the most. By default 8,192 tokens over Messages, which has to
    /// be told a number, and over Chat whatever the proxy allows.
    pub max_output: Option<Tokens>,
}
