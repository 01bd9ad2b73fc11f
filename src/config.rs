//! `blueprint.yaml`: the file says how, the document says what.
