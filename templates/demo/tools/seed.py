"""Fills a new database by hand; `blueprint` runs the same two files itself."""

from app.db import connect
from tools.migrate import MIGRATIONS

if __name__ == "__main__":
    db = connect()
    for file in (MIGRATIONS / "001_users.sql", MIGRATIONS.parent / "seed.sql"):
        db.executescript(file.read_text())
    db.commit()
