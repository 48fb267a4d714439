"""The KDC is away; the hub's ticket expires; its keytab is missing, another's, outdated, replaced."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop, kdc
from tests.support.hub_user import START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size, running
from tests.support.outcomes import Outcome

# Seconds that the hub's tickets are good for, where they are to expire. Hadoop logs in again at most once a minute.
TICKET = 80

MAY_NOT_LOG_IN = "The hub cannot log in to Kerberos"

Administer = Callable[..., None]


def alice_of(hub: Hub) -> HubUser:
    return HubUser(hub.address, "alice", hub.password)


def stop(member: HubUser, *servers: str) -> None:
    for name in servers or ("",):
        member.ask_to_stop(name)
    member.wait_gone(*servers)


def another_server_starts_and_stops(member: HubUser) -> None:
    """The hub still gets from Hadoop what it wants."""
    member.ask_to_start("second")
    member.wait_ready("second")
    stop(member, "second")


def still_there(member: HubUser) -> None:
    """The server of :func:`start_and_remember` is the same as before."""
    assert member.servers()[""]["ready"]
    assert member.run("print(answer)") == "42\n"


def start_and_remember(member: HubUser) -> None:
    member.ask_to_start()
    member.wait_ready()
    member.run("answer = 42")


# -- The KDC


def test_kdc_down_while_a_server_runs(alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """KDC down while a server runs."""
    start_and_remember(alice)
    cluster.daemons["kdc"].kill()
    fault.begins()
    still_there(alice)
    another_server_starts_and_stops(alice)
    still_there(alice)
    stop(alice)
    fault.saw = "Servers run, start and stop as long as the hub's tickets are valid"


def test_kdc_down_at_a_start(cluster: LocalHadoop, hub_with: Callable[..., Hub], fault: Outcome) -> None:
    """KDC down when the hub starts and a server is requested."""
    cluster.daemons["kdc"].kill()
    fault.begins()
    hub = hub_with()
    alice = alice_of(hub)
    alice.ask_to_start()
    alice.wait_told("The Kerberos server (KDC) does not answer the hub. The start continues when it does.")
    assert "driver did not start" in log_of(hub)
    cluster.daemons["kdc"].start()
    alice.wait_ready()
    fault.recovered()
    stop(alice)
    fault.saw = "The start waits, says that Kerberos does not answer, and continues"


# -- The keytab


@pytest.fixture(scope="module")
def administer(kerberos_cluster_of_session: LocalHadoop) -> Iterator[Administer]:
    """Gives commands to kadmin.local; at the end the hub's principal is as it was, and its keytab good."""

    def give(*commands: str) -> None:
        settings = kerberos_cluster_of_session.settings
        kdc.administer(settings, ["kadmin.local", "-r", "EXAMPLE.COM"], "\n".join(commands) + "\n")

    yield give
    give("modprinc -maxlife 24hours jupyterhub", f"cpw -pw {kdc.password('jupyterhub')} jupyterhub")
    export(give, Path(str(kerberos_cluster_of_session.keytab("jupyterhub"))))


def export(administer: Administer, keytab: Path) -> None:
    """Put the hub's present keys where its keytab is, in one step, as an admin would."""
    fresh = keytab.with_suffix(".fresh")
    administer(f"ktadd -k {fresh} -norandkey jupyterhub")
    kdc.give(fresh, "jupyterhub", 0o400)
    fresh.rename(keytab)


@pytest.fixture(scope="module")
def keytab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a hub expects its keytab; the tests say what is there."""
    return tmp_path_factory.mktemp("keytab") / "hub.keytab"


@pytest.fixture(scope="module")
def hub_without(
    kerberos_cluster_of_session: LocalHadoop, keytab: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A hub whose keytab is not there, or not good, until a test puts a good one there."""
    settings = {"YARNSPAWNER_KEYTAB": str(keytab)}
    with running(kerberos_cluster_of_session, tmp_path_factory.mktemp("hub"), settings=settings) as hub:
        yield hub


def test_keytab_missing(cluster: LocalHadoop, hub_without: Hub, keytab: Path, fault: Outcome) -> None:
    """Keytab of the hub missing."""
    told = alice_of(hub_without).failure()
    admin = f"Please tell your administrator: the hub expects it at {keytab}."
    assert told == f"{MAY_NOT_LOG_IN}: its keytab does not exist. {admin}"
    assert f"The keytab {keytab} does not exist" in log_of(hub_without)
    fault.saw = "The start fails at once, says that the hub cannot log in, and names the file"


def test_keytab_of_another(cluster: LocalHadoop, hub_without: Hub, keytab: Path, fault: Outcome) -> None:
    """Keytab of the hub replaced by another principal's."""
    shutil.copy(str(cluster.keytab("alice")), keytab)
    _told_to_check_the_keytab(hub_without)
    fault.saw = "The start fails at once, and says that the hub cannot log in with its keytab"


def test_keytab_outdated(
    cluster: LocalHadoop, hub_without: Hub, keytab: Path, administer: Administer, fault: Outcome
) -> None:
    """Keytab of the hub outdated by a new password, until it is replaced."""
    shutil.copy(str(cluster.keytab("jupyterhub")), keytab)
    administer("cpw -pw another-password jupyterhub")
    _told_to_check_the_keytab(hub_without)
    export(administer, keytab)
    fault.begins()
    alice = alice_of(hub_without)
    until(lambda: _starts(alice), START, "started with the new keys")
    fault.recovered()
    stop(alice)
    export(administer, Path(str(cluster.keytab("jupyterhub"))))
    fault.saw = "The start fails at once, and says that the hub cannot log in with its keytab; then it works"


def _told_to_check_the_keytab(hub: Hub) -> None:
    since = log_size(hub)

    def told() -> bool:
        # For a while after one failure the hub does not try again, and says what it knows from then.
        words = alice_of(hub).failure()
        return f"{MAY_NOT_LOG_IN} with its keytab. Please tell your administrator: check the hub's principal" in words

    until(told, START, "told")
    assert "The YARN driver did not start" in log_of(hub, since)


def _starts(member: HubUser) -> bool:
    try:
        for _ in member.start(START):
            pass
    except VisitError:
        time.sleep(2)
        return False
    return True


# -- The ticket


@pytest.fixture(scope="module")
def hub_of_short_tickets(
    kerberos_cluster_of_session: LocalHadoop, administer: Administer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A hub whose tickets are soon too old."""
    administer(f"modprinc -maxlife {TICKET}seconds jupyterhub")
    with running(kerberos_cluster_of_session, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


def test_ticket_expired(cluster: LocalHadoop, hub_of_short_tickets: Hub, fault: Outcome) -> None:
    """Ticket of the hub expired while a server runs."""
    alice = alice_of(hub_of_short_tickets)
    start_and_remember(alice)
    fault.begins()
    time.sleep(1.25 * TICKET)
    still_there(alice)
    another_server_starts_and_stops(alice)
    still_there(alice)
    assert "YARN does not answer" not in log_of(hub_of_short_tickets)
    stop(alice)
    fault.saw = "Nothing: the hub gets a new one with its keytab"


def test_keytab_replaced(
    cluster: LocalHadoop, hub_of_short_tickets: Hub, administer: Administer, fault: Outcome
) -> None:
    """Keytab of the hub replaced after a new password, and its old ticket expired, while a server runs."""
    alice = alice_of(hub_of_short_tickets)
    start_and_remember(alice)
    administer("cpw -pw a-third-password jupyterhub")
    export(administer, Path(str(cluster.keytab("jupyterhub"))))
    fault.begins()
    time.sleep(1.25 * TICKET)
    still_there(alice)
    another_server_starts_and_stops(alice)
    still_there(alice)
    assert len(unfinished(cluster, "alice")) == 1
    stop(alice)
    fault.saw = "Nothing: the hub reads the new keys when it needs them"
