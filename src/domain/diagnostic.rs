//! Diagnostics: code, span, label, help. Rendering is `ui`'s work.
