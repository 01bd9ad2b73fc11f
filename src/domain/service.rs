//! As what a lease's services are used.

use std::fmt;

use serde::{Deserialize, Serialize};

/// As what an application uses a service, which is also its key in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// `database`.
    #[default]
    Database,
    /// `cache`.
    Cache,
}

impl Use {
    /// Each, in the order in which they are told.
    pub const ALL: [Self; 2] = [Self::Database, Self::Cache];
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Cache => "cache",
        })
    }
}
