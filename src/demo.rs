//! The sample project of `blueprint demo`, file by file. Writing and running it is the command's work.

/// Files below `templates/demo`, as paths with their content.
macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../templates/demo/", $path)))),+]
    };
}

const FILES: &[(&str, &str)] = files![
    ".gitignore",
    "README.md",
    "app/__init__.py",
    "app/db.py",
    "app/users.py",
    "bench/__init__.py",
    "bench/listing.py",
    "blueprint.yaml",
    "db/migrations/001_users.sql",
    "db/seed.sql",
    "docs/blueprints/faster-user-listing.md",
    "recorded/A.patch",
    "recorded/B.patch",
    "recorded/C.patch",
    "tests/__init__.py",
    "tests/test_listing.py",
    "tools/__init__.py",
    "tools/migrate.py",
    "tools/seed.py",
];

/// The document that the demo runs.
pub const DOCUMENT: &str = "docs/blueprints/faster-user-listing.md";

/// Every file of the project: its path, with `/` between its parts, and its content.
pub fn files() -> &'static [(&'static str, &'static str)] {
    FILES
}
