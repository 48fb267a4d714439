"""Tests of faults: each has a docstring that names the fault, asserts what a user sees, and fills in an outcome.

The outcomes make the table of docs/reliability.md. A test fails that ends otherwise than the table says; with --record the
table is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version, why_no_kerberos
from tests.support import fault_injection, outcomes
from tests.support.hub_user import END, HubUser, unfinished, until
from tests.support.hubs import running
from tests.support.outcomes import Outcome

_PREEMPTION = "yarn.resourcemanager.monitor.capacity.preemption"
_STRICT = {
    # Without cgroups, YARN's own look at a container's processes is what ends one that is too large.
    "yarn.nodemanager.resource.memory.enforced": "false",
    "yarn.nodemanager.container-monitor.interval-ms": "1000",
    # A queue takes back what it was promised.
    "yarn.resourcemanager.scheduler.monitor.enable": "true",
    f"{_PREEMPTION}.monitoring_interval": "1000",
    f"{_PREEMPTION}.max_wait_before_kill": "2000",
    f"{_PREEMPTION}.total_preemption_per_round": "1.0",
    f"{_PREEMPTION}.natural_termination_factor": "1.0",
    f"{_PREEMPTION}.max_ignored_over_capacity": "0.0",
}

_OUTCOMES = pytest.StashKey[list[Outcome]]()
_ORDER = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_OUTCOMES] = []
    config.stash[_ORDER] = []


def fault_of(item: pytest.Item) -> str:
    """The first sentence of the test's docstring, or for a parametrized test the parameter's own words."""
    words = item.obj.__doc__ or ""  # type: ignore[attr-defined]
    sentence = " ".join(words.split()).removesuffix(".")
    return sentence.format(**getattr(item, "callspec", None).params) if hasattr(item, "callspec") else sentence


@pytest.hookimpl(tryfirst=True)  # the marks are there when -m is looked at
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if "fault" in getattr(item, "fixturenames", ())]
    config.stash[_ORDER].extend(sorted({fault_of(item) for item in mine}, key=[fault_of(i) for i in mine].index))
    for item in mine:
        # Faults take their time.
        item.add_marker(pytest.mark.full)
        item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(_OUTCOMES, [])
    if not found:
        return
    terminalreporter.section("faults")
    rows = [outcomes.HEAD, *(outcome.row() for outcome in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if config.getoption("--record"):
        outcomes.record(found, config.stash[_ORDER])


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[Outcome]:
    """The outcome of this test's fault, to be filled in."""
    outcome = Outcome(fault_of(request.node))
    yield outcome
    if not outcome.saw:
        return  # the test has failed before it could say
    request.config.stash[_OUTCOMES].append(outcome)
    if not request.config.getoption("--record"):
        row = next((row for row in outcomes.documented() if row[0] == outcome.fault), None)
        assert row and outcome.agrees(row), f"docs/reliability.md says otherwise: {row}, and this was {outcome.row()}"


@pytest.fixture
def cluster(kerberos_cluster: LocalHadoop, fault: Outcome) -> Iterator[LocalHadoop]:
    """The secure cluster, all its daemons running. What is left on it afterwards goes into the outcome."""
    yield kerberos_cluster
    kerberos_cluster.restore()
    left = unfinished(kerberos_cluster)
    if left:
        fault.left = f"{len(left)} applications"
        kerberos_cluster.run(["yarn", "application", "-kill", *left], user="yarn")
    assert left == [], "left over"


@pytest.fixture
def hub_with(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Hub]]:
    """Starts a hub of the test's own: ``hub_with(configuration=..., settings=...)``; it ends with the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> Hub:
            return stack.enter_context(running(cluster, tmp_path_factory.mktemp("hub"), **options))

        yield start


@pytest.fixture(scope="session")
def hub_of_session(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    with running(kerberos_cluster_of_session, folder, configuration=fault_injection.CONFIGURATION) as hub:
        yield hub


@pytest.fixture
def hub(hub_of_session: Hub, cluster: LocalHadoop) -> Hub:
    """A hub that the tests share; it runs, whatever the last one did to it."""
    if not hub_of_session.running:
        hub_of_session.start()
    return hub_of_session


@pytest.fixture
def alice(hub: Hub, cluster: LocalHadoop) -> Iterator[HubUser]:
    """alice, logged in to the shared hub. Afterwards she has no servers."""
    alice = HubUser(hub.address, "alice", hub.password)
    yield alice
    cluster.restore()
    if not hub.running:
        hub.start()
    alice = HubUser(hub.address, "alice", hub.password)
    for name in alice.servers():
        alice.ask_to_stop(name)
    alice.wait_gone(*alice.servers())
    until(lambda: not unfinished(cluster), END, "without applications")


@pytest.fixture(scope="module")
def strict_of_module(request: pytest.FixtureRequest) -> Iterator[LocalHadoop]:
    if reason := why_no_kerberos():
        pytest.skip(reason)
    properties = {**_STRICT, **getattr(request.module, "PROPERTIES", {})}
    with LocalHadoop(kerberos=True, nodes=1, hadoop=hadoop_version(), properties=properties) as strict:
        yield strict


@pytest.fixture
def strict(strict_of_module: LocalHadoop, fault: Outcome) -> Iterator[LocalHadoop]:
    """A cluster that ends containers which take more than they were given, and on which queues get what they are due."""
    yield strict_of_module
    until(lambda: not unfinished(strict_of_module), END, "without applications")
