"""The clusters and hubs that benchmarks run on."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import revision
from demo.hub import CONFIGURATION, Hub
from localhadoop import LocalHadoop
from localhadoop.jars import DEFAULT_VERSION
from localhadoop.progress import ConsoleProgress


@contextmanager
def cluster(
    *,
    kerberos: bool,
    nodes: int = 2,
    memory: int = 4096,
    vcores: int = 32,
    properties: Mapping[str, str] | None = None,
) -> Iterator[LocalHadoop]:
    """A cluster for the time of the context; the one that $LOCALHADOOP_SIMPLE or $LOCALHADOOP_KERBEROS names is kept.

    This process finds it afterwards as its own: the environment is that of a client of it.

    Args:
        kerberos: its kind.
        nodes: how many NodeManagers a new one has.
        memory: for containers on each, in MiB.
        vcores: of each.
        properties: of Hadoop, in addition to those that localhadoop sets.
    """
    name = os.environ.get("LOCALHADOOP_KERBEROS" if kerberos else "LOCALHADOOP_SIMPLE")
    hadoop = os.environ.get("LOCALHADOOP_HADOOP") or DEFAULT_VERSION
    found = (
        LocalHadoop.attach(name)
        if name
        else LocalHadoop(
            kerberos=kerberos,
            nodes=nodes,
            hadoop=hadoop,
            memory=memory,
            vcores=vcores,
            properties=properties,
            progress=ConsoleProgress(),
        )
    )
    before = dict(os.environ)
    with found:
        try:
            os.environ.update(found.environment())
            yield found
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def hub(
    on: LocalHadoop, *, configuration: str = "", settings: Mapping[str, str] | None = None, code: Path | None = None
) -> Iterator[Hub]:
    """A hub with the example configuration, gone with its folder when the context ends; users' servers go on.

    Args:
        on: what its users' servers run on.
        configuration: lines of Python that come after the example's, where ``c`` is the configuration.
        settings: more of the environment variables that the example reads.
        code: folder of an older revision to run, see :mod:`benchmarks.revision`; None for the installed one.
    """
    variables = {"PYTHONUNBUFFERED": "1", **(revision.environment(code) if code else {}), **(settings or {})}
    loaded = revision.configuration(code) if code else f"c = get_config()\nload_subconfig({str(CONFIGURATION)!r})\n"
    with tempfile.TemporaryDirectory(prefix="yarnspawner-benchmark-") as folder:
        file = Path(folder) / "configuration.py"
        file.write_text(f"{loaded}{configuration}\n")
        started = Hub(on, Path(folder), configuration=file, settings=variables)
        try:
            started.start()
            yield started
        finally:
            started.stop()


def until(holds: Callable[[], object], timeout: float, what: str, *, pause: float = 0.1) -> None:
    """Wait until something holds; raises :class:`TimeoutError` after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(pause)
