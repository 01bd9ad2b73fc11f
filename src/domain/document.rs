//! The document: markdown with byte spans, read into a plan.
