"""A start with a local archive of 300 MB in ``localize_files``: the submission of the second start, and skein's own way.

skein uploads the archive at each submission. yarnspawner puts it into HDFS once: the first start waits for that, and the
next ones find it there. Both submit the same application, which runs ``true``, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Results, Table

if TYPE_CHECKING:
    from localhadoop import LocalHadoop

DEFAULT_RUNS = 5

USER = "alice"
FIRST, OURS, SKEIN = "yarnspawner, first start", "yarnspawner, next starts", "skein's upload"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=300, metavar="MB", help="of the archive (default: %(default)s)")
    parser.add_argument(
        "--visibility", choices=["public", "private"], default="public", help="of the archive (default: %(default)s)"
    )


def run(options: argparse.Namespace, results: Results) -> None:
    from benchmarks import bare, clusters

    with ExitStack() as stack:
        cluster = stack.enter_context(clusters.cluster(kerberos=options.kerberos))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yarnspawner-benchmark-")))
        archive = folder / "environment.bin"
        with archive.open("wb") as file:
            for _ in range(options.size):
                file.write(secrets.token_bytes(1_000_000))  # no file system can make it smaller
        client = stack.enter_context(bare.client(cluster))
        table = results.table(f"Submission with {options.size} MB, {options.visibility}", baseline=SKEIN)

        def skeins_way() -> float:
            from benchmarks.applications import specification

            began = time.monotonic()
            application_id = client.submit(specification(str(archive), visibility="application", hub=False))
            took = time.monotonic() - began
            client.kill_application(application_id, user=USER)
            return took

        asyncio.run(_measure(cluster, archive, options, table, skeins_way, results))
        table.goal("a later start, in terms of skein's upload", table.ratio(OURS), 0.5)


async def _measure(
    cluster: LocalHadoop,
    archive: Path,
    options: argparse.Namespace,
    table: Table,
    skeins_way: Callable[[], float],
    results: Results,
) -> None:
    from benchmarks.applications import specification
    from yarnspawner.hadoop.accounts import hub_account
    from yarnspawner.hadoop.uploads import Uploads
    from yarnspawner.launch.localize import upload_shared_files
    from yarnspawner.skein_driver import Cluster

    principal, keytab = cluster.principal("jupyterhub") or "", str(cluster.keytab("jupyterhub") or "")
    access = Cluster(principal=principal, keytab=keytab)
    uploads = Uploads(".yarnspawner", hub_account(principal), principal=principal, keytab=keytab)
    files = {"environment": {"source": str(archive), "visibility": options.visibility, "type": "file"}}
    log = logging.getLogger("benchmark")
    try:
        warm = await access.submit(specification(""))
        await access.kill(warm, USER)
        for turn in range(options.runs + 1):
            began = time.monotonic()
            found = await upload_shared_files(files, uploads, USER, log, lambda _: None)
            application_id = await access.submit(specification("", files=found))
            took = time.monotonic() - began
            await access.kill(application_id, USER)
            table.add(OURS if turn else FIRST, took)
            rows = {FIRST if not turn else OURS: took}
            if turn:
                rows[SKEIN] = await asyncio.to_thread(skeins_way)
                table.add(SKEIN, rows[SKEIN])
            results.progress(turn, rows)
    finally:
        await uploads.close()
        await access.close()
