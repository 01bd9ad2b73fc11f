//! The document: bytes with the spans of what was found in them.

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Document {}

/// Regions of a document that the tool writes; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regions {}

impl Document {
    /// Reads a document.
    pub fn parse(_bytes: &[u8]) -> Result<Self, Vec<super::diagnostic::Diagnostic>> {
        todo!()
    }

    /// The same bytes with these regions written anew.
    pub fn rewrite(&self, _regions: &Regions) -> Vec<u8> {
        todo!()
    }
}
