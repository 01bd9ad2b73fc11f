"""Times page requests and writes their p50 and p95 to $BLUEPRINT_METRICS.

One in four asks for the first page, the others for a page behind a random active user. Which
ones is drawn from $BLUEPRINT_SEED, so that every contender of a block gets the same requests.
A wrong page is an error, never a fast answer.
"""

import json
import math
import os
import random
import sys
import time

from app.db import connect
from app.users import ACTIVE, list_active

REQUESTS = 32
SIZE = 50


def requests(db, seed):
    """The `after` of each request."""
    draw = random.Random(seed)
    (last,) = db.execute("SELECT max(id) FROM users").fetchone()
    for number in range(REQUESTS):
        if number % 4 == 0:
            yield None
            continue
        user = status = None
        while status != ACTIVE:
            user = draw.randint(1, last)
            (status,) = db.execute("SELECT status FROM users WHERE id = ?", (user,)).fetchone()
        yield user


def timed(db, after):
    """Seconds for one page."""
    started = time.perf_counter()
    page = list_active(db, after, SIZE)
    elapsed = time.perf_counter() - started
    places = [(user.created_at, user.id) for user in page]
    if after is not None:
        places.insert(0, db.execute("SELECT created_at, id FROM users WHERE id = ?", (after,)).fetchone())
    if any(one <= other for one, other in zip(places, places[1:])):
        raise SystemExit(f"the page after {after} is out of order")
    if after is None and len(page) != SIZE:
        raise SystemExit(f"the first page holds {len(page)} users")
    return elapsed


def percentile(values, share):
    """The smallest value that this share of the values does not exceed (nearest rank)."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def main():
    db = connect()
    afters = list(requests(db, int(os.environ.get("BLUEPRINT_SEED", "1"))))
    list_active(db, None, SIZE)
    times = [timed(db, after) for after in afters]
    metrics = os.environ.get("BLUEPRINT_METRICS")
    out = open(metrics, "a", encoding="utf-8") if metrics else sys.stdout
    for name, share in (("listing_p50", 0.50), ("listing_p95", 0.95)):
        value = percentile(times, share) * 1000
        print(json.dumps({"metric": name, "value": value, "unit": "ms", "n": len(times)}), file=out)
    out.flush()


if __name__ == "__main__":
    main()
