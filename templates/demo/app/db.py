"""The connection to the database."""

import os
import sqlite3


def path():
    """The database's file, from BLUEPRINT_DATABASE_FILE or DATABASE_URL (sqlite:////abs/path)."""
    file = os.environ.get("BLUEPRINT_DATABASE_FILE")
    url = os.environ.get("DATABASE_URL", "")
    if not file and url.startswith("sqlite:///"):
        file = url[len("sqlite:///"):]
    if not file:
        raise SystemExit("set BLUEPRINT_DATABASE_FILE to the database's file")
    return file


def connect():
    """A connection to that file."""
    return sqlite3.connect(path())
