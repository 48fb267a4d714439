"""From the click on Start to a server that is ready, by stage, beside a hand-written script and beside 0.4.0's way.

The floor is the same container, memory, environment and hub, started by a bare skein script that runs
``jupyterhub-singleuser`` and touches a file when it answers. 0.4.0's way is modelled: a report every 0.5 s, and the
address by a call from the container to the hub. All three take turns, with warm drivers. With ``--old``, so does an older
revision of yarnspawner.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.results import FLOOR, OURS, USER, Results

if TYPE_CHECKING:
    from benchmarks.bare import BareScript, Handler, OldSpawner
    from benchmarks.person import Person
    from localhadoop import LocalHadoop

OLD = "0.4.0's way"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from benchmarks import revision

    parser.add_argument("--without-old", action="store_true", help="do not measure 0.4.0's way")
    revision.add_argument(parser)


def run(options: argparse.Namespace, results: Results) -> None:
    from benchmarks import bare, clusters, revision
    from benchmarks.person import Person
    from benchmarks.turns import Ground

    with ExitStack() as stack:
        ground = stack.enter_context(Ground.prepared(kerberos=options.kerberos))
        handler = stack.enter_context(bare.Handler.running())
        cluster, person, floor = ground.cluster, ground.person, ground.script
        before = None
        if options.old:
            code = stack.enter_context(revision.unpacked(options.old))
            before = Person(stack.enter_context(clusters.hub(cluster, code=code)), USER)
        old = bare.OldSpawner(ground.hub, ground.client, ground.folder, USER, ground.token)
        total = results.table("POST to ready", baseline=FLOOR)
        ours = results.table("Stages of yarnspawner")
        theirs = results.table("Stages of the bare script")
        stages = [(ours, OURS), (theirs, FLOOR)]
        if before is not None:
            stages.append((results.table(f"Stages of {options.old}"), options.old))
        # The first of each fills the caches of nodes and drivers, and does not count.
        for turn in range(options.runs + 1):
            rows = {OURS: _ours(cluster, person), FLOOR: _floor(cluster, floor)}
            if before is not None:
                rows[options.old] = _ours(cluster, before)
            if not options.without_old:
                rows[OLD] = _old(old, handler)
            results.progress(turn, {name: took["total"] for name, took in rows.items()})
            if turn:
                for name, took in rows.items():
                    total.add(name, took.pop("total"))
                for table, name in stages:
                    for stage, seconds in rows[name].items():
                        table.add(stage, seconds)
    total.goal("the median, in terms of the bare script's", total.ratio(OURS), 0.45)
    total.goal("the worst, in terms of the bare script's median", total.worst_ratio(OURS), 1.25)
    if not options.without_old:
        total.goal("the median, in terms of 0.4.0's way", total.ratio(OURS, OLD), 0.40)


def _ours(cluster: LocalHadoop, person: Person) -> dict[str, float]:
    from benchmarks.stages import durations, moments

    asked, seen, ready = person.start()
    (application,) = cluster.applications(states="RUNNING", user=USER)
    at = moments(cluster, application["id"])
    took = durations(asked, {**at, "address seen by the hub": seen, "hub's own check": ready})
    person.stop()
    return {**took, "total": ready - asked}


def _floor(cluster: LocalHadoop, script: BareScript) -> dict[str, float]:
    from benchmarks.stages import durations, moments

    server = script.submit()
    total = script.wait(server)
    took = durations(server.asked, moments(cluster, server.application_id))
    script.end(server)
    _settle()
    return {**took, "total": total}


def _old(spawner: OldSpawner, handler: Handler) -> dict[str, float]:
    server, total = spawner.start(handler)
    spawner.end(server)
    _settle()
    return {"total": total}


def _settle() -> None:
    """Leave YARN the time to clear the last one away."""
    time.sleep(2)
