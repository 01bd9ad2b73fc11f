//! The one audited module that builds SQL text and connects by URL.
