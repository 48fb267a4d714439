"""skein's driver, the Java process through which the hub speaks to YARN, is killed, or hangs and answers nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support import fault_injection
from tests.support.fault_injection import arrange, drivers, has_happened, send
from tests.support.hub_user import END, START, HubUser, applications, unfinished, until
from tests.support.outcomes import Outcome

MISHAPS = pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "killed"), (signal.SIGSTOP, "hung")], ids=["killed", "hung"]
)


@pytest.fixture
def hub(hub_with: Callable[..., Hub]) -> Iterator[Hub]:
    """A hub that waits 20 seconds for a submission, instead of two minutes."""
    hub = hub_with(configuration=fault_injection.CONFIGURATION, settings={"FAULTS_SUBMISSION_TIMEOUT": "20"})
    yield hub
    send(drivers(hub), signal.SIGCONT)


def test_killed_during_submission(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Driver killed during a submission."""
    arrange(hub, "kill-driver", "submission")
    alice.ask_to_start()
    until(lambda: has_happened(hub), START, "killed")
    fault.begins()
    alice.wait_ready()
    fault.recovered()
    assert alice.run("print(6 * 7)") == "42\n"
    assert len(unfinished(cluster)) == 1
    fault.saw = "The start continues, and the server becomes ready"


def test_hung_during_submission(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Driver hung during a submission, and resumed after another driver submitted."""
    arrange(hub, "hang-driver", "submission")
    alice.ask_to_start()
    until(lambda: has_happened(hub), START, "hung")
    fault.begins()
    alice.wait_ready()
    fault.recovered()
    send(drivers(hub), signal.SIGCONT)
    # What it was doing may come to its end now.
    time.sleep(10)
    until(lambda: len(unfinished(cluster)) == 1, END, "ended")
    assert alice.run("print(6 * 7)") == "42\n"
    assert len(unfinished(cluster)) == 1
    fault.saw = "The start continues, and the server becomes ready"


@MISHAPS
def test_while_waiting(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome, number: signal.Signals, words: str
) -> None:
    """Drivers {words} while an application waits in its queue."""
    before = applications(cluster)
    for node in cluster.node_managers:
        node.suspend()
    alice.ask_to_start()
    until(lambda: "ACCEPTED" in applications(cluster).values(), START, "accepted")
    gone = drivers(hub)
    assert gone
    send(gone, number)
    fault.begins()
    for node in cluster.node_managers:
        node.resume()
    alice.wait_ready()
    fault.recovered()
    assert len(applications(cluster).keys() - before.keys()) == 1
    assert alice.run("print(6 * 7)") == "42\n"
    fault.saw = "The start continues, and the server becomes ready"


@MISHAPS
def test_while_idle(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome, number: signal.Signals, words: str
) -> None:
    """Drivers {words} while a server runs and the hub is idle."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    gone = drivers(hub)
    send(gone, number)
    fault.begins()
    assert alice.run("print(answer)") == "42\n"
    assert alice.servers()[""]["ready"]
    # The next start, and the stop of the first.
    alice.ask_to_start("another")
    alice.wait_ready("another")
    fault.recovered()
    alice.ask_to_stop()
    alice.wait_gone()
    assert alice.servers()["another"]["ready"]
    assert len(unfinished(cluster)) == 1
    # One that hangs is replaced when it is needed, one that was killed at once.
    most = 1 if number == signal.SIGSTOP else 0
    until(lambda: len(set(gone) & set(drivers(hub))) <= most, END, "replaced")
    until(lambda: len(drivers(hub)) == len(gone), START, "started")
    fault.saw = "The server keeps running, and another one starts"
