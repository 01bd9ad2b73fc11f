"""What the listing promises, on a small database with every migration applied."""

import os
import random
import sqlite3
import tempfile
import unittest

from app import users
from tools import migrate


def filled(path=":memory:", count=400):
    """A database of users; about a third is active, and many share a second."""
    db = sqlite3.connect(path)
    migrate.apply(db)
    draw = random.Random(7)
    with db:
        db.executemany(
            "INSERT INTO users (name, email, status, created_at) VALUES (?, ?, ?, ?)",
            [
                (f"User {n}", f"user{n}@example.test", draw.choice(["active", "invited", "disabled"]), draw.randint(1, 90))
                for n in range(count)
            ],
        )
    return db


def expected(db):
    """The whole listing, worked out without the database's help."""
    rows = db.execute("SELECT id, name, email, created_at, status FROM users").fetchall()
    active = [users.User(*row[:4]) for row in rows if row[4] == "active"]
    return sorted(active, key=lambda user: (user.created_at, user.id), reverse=True)


def walked(db, size):
    """The whole listing, page by page."""
    found, after = [], None
    for _ in range(1000):
        page = users.list_active(db, after, size)
        found += page
        if len(page) < size:
            return found
        after = page[-1].id
    raise AssertionError("the listing does not end")


class Listing(unittest.TestCase):
    """With a comparison that names the first difference, which on long lists is all that helps."""

    def assert_same(self, found, wanted):
        for at, (one, other) in enumerate(zip(found, wanted)):
            if one != other:
                self.fail(f"at {at} stands {one}, and {other} is expected")
        self.assertEqual(len(found), len(wanted), "users listed")


class Order(Listing):
    def test_pages_of_any_size_hold_every_active_user_once_and_newest_first(self):
        db = filled()
        self.assertGreater(len(expected(db)), 100)
        for size in (1, 7, 50, 1000):
            self.assert_same(walked(db, size), expected(db))

    def test_a_page_starts_right_behind_any_user_active_or_not(self):
        db = filled()
        listing = expected(db)
        for user, created_at in db.execute("SELECT id, created_at FROM users").fetchall():
            behind = [other for other in listing if (other.created_at, other.id) < (created_at, user)]
            self.assert_same(users.list_active(db, user, 5), behind[:5])

    def test_the_page_behind_the_last_user_is_empty(self):
        db = filled()
        self.assertEqual(users.list_active(db, expected(db)[-1].id), [])

    def test_a_listing_of_nobody_is_empty(self):
        self.assertEqual(users.list_active(filled(count=0)), [])


class Refusals(unittest.TestCase):
    def test_an_unknown_user_is_a_lookup_error(self):
        with self.assertRaises(LookupError):
            users.list_active(filled(), 10_000)

    def test_a_page_without_users_is_a_value_error(self):
        with self.assertRaises(ValueError):
            users.list_active(filled(), None, 0)


class Changes(Listing):
    """A change shows in the next page that is asked for, also where that page was asked for before."""

    def setUp(self):
        self.db = filled()
        self.same()

    def same(self, db=None):
        for _ in range(2):
            self.assert_same(walked(db or self.db, 20), expected(self.db))

    def test_a_new_user_is_listed_at_once(self):
        user = users.add(self.db, "New", "new@example.test", "active", 91)
        self.assertEqual(users.list_active(self.db)[0].id, user)
        users.add(self.db, "Invited", "invited@example.test", "invited", 92)
        self.same()

    def test_a_change_of_name_status_or_presence_is_seen_at_once(self):
        listing = expected(self.db)
        users.rename(self.db, listing[0].id, "Renamed")
        self.same()
        users.set_status(self.db, listing[3].id, "disabled")
        self.same()
        users.set_status(self.db, listing[3].id, "active")
        self.same()
        users.remove(self.db, listing[25].id)
        self.same()

    def test_nobody_is_repeated_or_left_out_when_a_user_comes_or_goes_between_two_pages(self):
        first = users.list_active(self.db, None, 20)
        rest = expected(self.db)[20:]
        users.add(self.db, "New", "new@example.test", "active", 91)
        users.set_status(self.db, first[5].id, "disabled")
        users.set_status(self.db, first[-1].id, "disabled")
        self.assert_same(users.list_active(self.db, first[-1].id, 20), rest[:20])

    def test_what_another_connection_changes_is_seen_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "users.db")
            self.db, reader = filled(path), sqlite3.connect(path)
            self.same(reader)
            users.rename(self.db, expected(self.db)[0].id, "Renamed")
            self.same(reader)
            users.add(self.db, "New", "new@example.test", "active", 91)
            self.same(reader)
            self.db.close()
            reader.close()


if __name__ == "__main__":
    unittest.main()
