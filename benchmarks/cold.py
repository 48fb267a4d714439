"""The first start after the hub's start, beside the next one.

By the first start, drivers, tickets, skein's jar in HDFS and the connection to the ResourceManager must be ready. In each run,
the hub is started again, a user comes some seconds later and starts a server twice. With ``--old``, an older revision takes turns.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.results import OURS, USER, Results

if TYPE_CHECKING:
    from demo.hub import Hub

DEFAULT_RUNS = 5
# Seconds for YARN to clear the last server away.
_SETTLED = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from benchmarks import revision

    revision.add_argument(parser)
    parser.add_argument(
        "--after",
        type=float,
        default=20,
        metavar="N",
        help="seconds from the hub's first answer to the first start (default: %(default)s)",
    )


def run(options: argparse.Namespace, results: Results) -> None:
    from benchmarks import clusters, revision

    table = results.table("POST to ready")
    with ExitStack() as stack:
        hadoop = stack.enter_context(clusters.cluster(kerberos=options.kerberos))
        hubs = {OURS: stack.enter_context(clusters.hub(hadoop))}
        if options.old:
            code = stack.enter_context(revision.unpacked(options.old))
            hubs[options.old] = stack.enter_context(clusters.hub(hadoop, code=code))
        # The first turn fills the caches of the nodes, and does not count.
        for turn in range(options.runs + 1):
            for name, hub in hubs.items():
                first, warm = _first_and_warm(hub, options.after)
                results.progress(turn, {f"{name}, first": first, f"{name}, warm": warm})
                if turn:
                    table.add(f"{name}, first", first)
                    table.add(f"{name}, warm", warm)
    ratio = table.median(f"{OURS}, first") / table.median(f"{OURS}, warm")
    table.goal("the first start's median, in terms of the warm one's", ratio, 1.15)


def _first_and_warm(hub: Hub, after: float) -> tuple[float, float]:
    """Restart a hub, and return the seconds that its first start and the next one take."""
    from benchmarks.person import Person

    hub.stop()
    hub.start()
    until = time.monotonic() + after
    person = Person(hub, USER)
    time.sleep(max(until - time.monotonic(), 0))
    took = []
    for _ in range(2):
        asked, _, ready = person.start()
        took.append(ready - asked)
        person.stop()
        time.sleep(_SETTLED)
    return took[0], took[1]
