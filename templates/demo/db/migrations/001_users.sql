CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'invited', 'disabled')),
    created_at INTEGER NOT NULL
);

PRAGMA user_version = 1;
