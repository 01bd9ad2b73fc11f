//! Rewriting the regions of a document that the tool owns; every other byte stays.
