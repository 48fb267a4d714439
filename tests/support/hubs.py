"""Hubs of tests, on the tests' clusters."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.hub import CONFIGURATION, Hub
from localhadoop import LocalHadoop


@contextmanager
def running(
    cluster: LocalHadoop,
    folder: Path,
    *,
    configuration: Path = CONFIGURATION,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Hub]:
    """A hub that runs until the context ends; users' servers go on.

    Args:
        cluster: what its users' servers run on.
        folder: an existing one, for its database, secrets and log.
        configuration: a file that may load the example configuration, which it finds in $EXAMPLE_CONFIGURATION.
        settings: more of the environment variables that it reads.
    """
    more = {"EXAMPLE_CONFIGURATION": str(CONFIGURATION), "PYTHONUNBUFFERED": "1", **(settings or {})}
    hub = Hub(cluster, folder, configuration=configuration, settings=more)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


def log_of(hub: Hub, since: int = 0) -> str:
    """What a hub has logged, from a byte on."""
    with hub.log.open("rb") as log:
        log.seek(since)
        return log.read().decode(errors="replace")


def log_size(hub: Hub) -> int:
    """Where the hub's log ends now."""
    return os.stat(hub.log).st_size
