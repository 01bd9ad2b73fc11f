"""Applies the migrations that a database has not seen yet, in the order of their numbers."""

from pathlib import Path

from app.db import connect

MIGRATIONS = Path(__file__).resolve().parent.parent / "db" / "migrations"


def apply(db):
    """Applies each missing file whole; the number of the last one is the database's user_version."""
    (done,) = db.execute("PRAGMA user_version").fetchone()
    for file in sorted(MIGRATIONS.glob("*.sql")):
        number = int(file.name.split("_")[0])
        if number > done:
            db.executescript(f"BEGIN;\n{file.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")


if __name__ == "__main__":
    apply(connect())
