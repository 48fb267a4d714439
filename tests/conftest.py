"""What all tests share: the order in which they run, and that they test what the checkout says."""

from __future__ import annotations

import filecmp
import os
import signal
import sysconfig
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from demo.hub import Hub
from tests.support.hubs import log_of
from yarnspawner.common.grpc_import import import_grpc

# Before any test imports skein: what tests type into a terminal, runs in a child of a process that calls gRPC.
import_grpc()

pytest_plugins = ["localhadoop.fixtures"]

# For `pytest --hypothesis-profile full`, as `scripts/test --full` has it.
hypothesis.settings.register_profile("full", max_examples=10_000, deadline=None)
if "YARNSPAWNER_MUTANT" in os.environ:
    # One failure is enough, and need not be made smaller.
    hypothesis.settings.register_profile(
        "mutant", max_examples=20, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate), deadline=None
    )
    hypothesis.settings.load_profile("mutant")

CHECKOUT = Path(__file__).resolve().parent.parent

# Characters.
_LOG_SHOWN = 10_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures", metavar="FOLDER", help="take the documentation's pictures on the way (tests/browser)"
    )
    parser.addoption(
        "--record",
        action="store_true",
        help="write results into docs/reliability.md (faults) and docs/compatibility.md",
    )


def pytest_configure() -> None:
    # A shell starts what it puts into the background deaf to Ctrl-C, and so would be what the tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    if "YARNSPAWNER_MUTANT" in os.environ:
        return  # scripts/mutate tests what differs
    # pytest imports the checkout; hubs and containers run the copy that is installed in the environment.
    for package in ("yarnspawner", "localhadoop"):
        copy = Path(sysconfig.get_path("purelib")) / package
        if not copy.is_dir():
            continue
        sources = [file.relative_to(CHECKOUT / package) for file in (CHECKOUT / package).rglob("*.py")]
        _, different, missing = filecmp.cmpfiles(CHECKOUT / package, copy, sources, shallow=False)
        if different or missing:
            pytest.exit(f"the installed copy of {package} is not that of the checkout; run scripts/environment", 3)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    # What a hub did when a test failed is gone with its folder.
    report = yield
    if report.failed:
        for name, hub in getattr(item, "funcargs", {}).items():
            if isinstance(hub, Hub) and hub.log.exists():
                report.sections.append((f"the end of the log of {name}", log_of(hub)[-_LOG_SHOWN:]))
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    if _cluster(item) == "kerberos":
        item.add_marker("kerberos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What fails soonest comes first, and each kind of cluster is started when the first test needs it.
    items.sort(key=_cost)


def _cost(item: pytest.Item) -> tuple[bool, ...]:
    cluster = _cluster(item)
    return (
        item.get_closest_marker("full") is not None,
        item.get_closest_marker("browser") is not None,
        cluster == "kerberos",
        cluster == "simple",
        "cluster" in item.path.relative_to(CHECKOUT).parts,
    )


def _cluster(item: pytest.Item) -> str:
    """Return which shared cluster a test needs, if any."""
    # Some tests ask for their cluster by a parameter.
    words = " ".join([item.nodeid, *getattr(item, "fixturenames", ())])
    return next((kind for kind in ("kerberos", "simple") if f"{kind}_cluster" in words or f"[{kind}" in words), "")
