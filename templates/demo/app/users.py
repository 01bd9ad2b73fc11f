"""Users, and the listing of those that are active: newest first, a page at a time."""

from collections import namedtuple

User = namedtuple("User", "id name email created_at")

ACTIVE = "active"


def add(db, name, email, status, created_at):
    """Adds a user and returns its id."""
    with db:
        added = db.execute(
            "INSERT INTO users (name, email, status, created_at) VALUES (?, ?, ?, ?)",
            (name, email, status, created_at),
        )
    return added.lastrowid


def rename(db, user, name):
    """Changes a user's name."""
    with db:
        db.execute("UPDATE users SET name = ? WHERE id = ?", (name, user))


def set_status(db, user, status):
    """Changes a user's status."""
    with db:
        db.execute("UPDATE users SET status = ? WHERE id = ?", (status, user))


def remove(db, user):
    """Removes a user."""
    with db:
        db.execute("DELETE FROM users WHERE id = ?", (user,))


def list_active(db, after=None, size=50):
    """One page of active users, newest first; users of the same second by falling id.

    `after` is the id of the user behind whose place the page starts, whether or not that user is
    still active; the first page without it. An unknown id is a LookupError.
    """
    if size < 1:
        raise ValueError("a page holds at least one user")
    offset = 0 if after is None else _count_to(db, after)
    rows = db.execute(
        "SELECT id, name, email, created_at FROM users WHERE status = ?"
        " ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
        (ACTIVE, size, offset),
    )
    return [User(*row) for row in rows]


def _count_to(db, user):
    """How many active users stand at a user's place or before it."""
    (count,) = db.execute(
        "SELECT count(*) FROM users WHERE status = ? AND (created_at, id) >= (?, ?)",
        (ACTIVE, *_place(db, user)),
    ).fetchone()
    return count


def _place(db, user):
    """What the listing is ordered by, for one user."""
    place = db.execute("SELECT created_at, id FROM users WHERE id = ?", (user,)).fetchone()
    if place is None:
        raise LookupError(f"there is no user {user}")
    return place
