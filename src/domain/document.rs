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

impl Document {
    /// What it plans.
    pub fn plan(&self) -> &super::plan::Plan {
        todo!()
    }

    /// Digest outside the regions that the tool rewrites.
    pub fn digest(&self) -> String {
        todo!()
    }
}

/// Whether two documents are equal outside the regions that the tool rewrites.
pub fn same_outside_regions(_a: &Document, _b: &Document) -> bool {
    todo!()
}

/// Lines that differ outside those regions: number in the second, old, new.
pub fn changed_lines(_a: &Document, _b: &Document) -> Vec<(usize, String, String)> {
    todo!()
}
