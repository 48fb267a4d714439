"""The cluster client with real driver processes that are stand-ins for skein's: queues, failures, late submissions, the store."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import skein
from skein.proto import skein_pb2 as messages

from tests.support.fake_driver import FakeHadoop
from yarnspawner.skein_driver import (
    ApplicationUnknown,
    Cluster,
    ClusterRefused,
    ClusterUnavailable,
    client,
    driver_process,
)
from yarnspawner.skein_driver.key_value_store import LARGEST_VALUE, Store
from yarnspawner.skein_driver.rehearsal import rehearsal
from yarnspawner.skein_driver.reports import Report, ReportLists
from yarnspawner.skein_driver.rpc import AnswerTooLarge, RpcError, cluster_error_from

SECURITY = skein.Security.new_credentials()
RUNNING = {"id": "application_1_0007", "user": "alice", "state": messages.ApplicationState.RUNNING}


@pytest.fixture
def hadoop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHadoop:
    fake = FakeHadoop(tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    driver_process.clear_classpath_cache()
    return fake


@pytest.fixture
async def cluster(hadoop: FakeHadoop) -> AsyncIterator[Cluster]:
    cluster = Cluster(timeout=2.0, submission_timeout=4.0)
    yield cluster
    await cluster.close()
    assert hadoop.running() == []


def specification(user: str = "alice", security: skein.Security | None = SECURITY) -> skein.ApplicationSpec:
    return skein.ApplicationSpec(user=user, master=skein.Master(script="sleep 1", security=security))


async def eventually(condition: Callable[[], Any], within: float = 15) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


# Queues


async def test_submissions_delay_no_reports(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """Reports return at once while ten submissions wait."""
    hadoop.behave(delay={"submit": 1}, applications=[RUNNING])
    await cluster.report(RUNNING["id"])
    submissions = [asyncio.create_task(cluster.submit(specification())) for _ in range(10)]
    await eventually(lambda: hadoop.calls("submit"))
    while not all(task.done() for task in submissions):
        began = time.monotonic()
        await cluster.report(RUNNING["id"])
        assert time.monotonic() - began < 2  # the submissions take five seconds
        await asyncio.sleep(0.1)
    assert len({task.result() for task in submissions}) == 10


async def test_kills_do_not_delay_reports(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A report returns while a kill is in progress."""
    hadoop.behave(delay={"kill": 1.5}, applications=[RUNNING])
    await cluster.report(RUNNING["id"])
    kill = asyncio.create_task(cluster.kill(RUNNING["id"], "alice"))
    await eventually(lambda: hadoop.calls("kill"))
    await cluster.report(RUNNING["id"])
    assert not kill.done()
    await kill


async def test_concurrent_submissions(hadoop: FakeHadoop) -> None:
    """Two submission drivers handle at most four submissions at a time."""
    hadoop.behave(delay={"submit": 0.4})
    cluster = Cluster(submission_drivers=2)
    await asyncio.gather(*(cluster.submit(specification()) for _ in range(4)))
    await asyncio.gather(*(cluster.submit(specification()) for _ in range(8)))
    starts = sorted(hadoop.calls("submit"))[4:]
    assert max(sum(1 for start in starts if now <= start < now + 0.39) for now in starts) == 4
    await cluster.close()


async def test_warm(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """`warm` returns at once, and the first submission starts no other driver."""
    began = time.monotonic()
    cluster.warm()
    assert time.monotonic() - began < 0.5
    await eventually(lambda: len(hadoop.running()) == 2)
    await cluster.submit(specification())
    assert len(hadoop.started()) == 2


async def test_rehearsal(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """`warm` lets each driver for submissions try one that fails, once only and without an error."""
    hadoop.behave(fail={"submit": ("INVALID_ARGUMENT", "File file:/dev/null/none does not exist")})
    cluster.warm()
    await eventually(lambda: len(hadoop.calls("submit")) == 1)
    await cluster.active()
    assert len(hadoop.running()) == 2
    for _ in range(3):  # one for each spawner
        cluster.warm()
        await asyncio.sleep(0.3)
    assert len(hadoop.calls("submit")) == 1


def test_rehearsal_cannot_be_submitted() -> None:
    """Its file is a local one that cannot exist, and its credentials are its own."""
    spec = messages.ApplicationSpec.FromString(rehearsal())
    (file,) = spec.master.files.values()
    assert (file.source.scheme, spec.user) == ("file", "")
    assert not Path(file.source.file).exists()
    assert spec.master.security.key_bytes


# Drivers that exit or hang


async def test_hung_driver_is_replaced(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A hung driver for reports does not delay submissions, and is replaced."""
    hadoop.behave(applications=[RUNNING])
    await cluster.report(RUNNING["id"])
    await cluster.submit(specification())
    hung = hadoop.started()[0]["pid"]
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(ClusterUnavailable, match="No answer from YARN to getStatus within 2 s"):
        await cluster.report(RUNNING["id"])
    began = time.monotonic()
    await cluster.submit(specification())
    assert time.monotonic() - began < 1.9
    assert (await cluster.report(RUNNING["id"])).state == "RUNNING"
    await eventually(lambda: hung not in hadoop.running())


async def test_ping_before_submission(hadoop: FakeHadoop, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submission detects by a ping that an idle driver hangs."""
    monkeypatch.setattr("yarnspawner.skein_driver.driver_slots._PING_TIMEOUT", 0.5)
    await cluster.submit(specification())
    (hung,) = hadoop.running()
    os.kill(hung, signal.SIGSTOP)
    try:
        assert await cluster.submit(specification()) == "application_1_0002"
    finally:
        os.kill(hung, signal.SIGCONT)
    assert len(hadoop.calls("submit")) == 2


async def test_killed_idle_driver_is_replaced(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """An idle driver that was killed is replaced before the next call."""
    await cluster.active()
    os.kill(hadoop.running()[0], signal.SIGKILL)
    await eventually(lambda: len(hadoop.started()) == 2)
    assert await cluster.active() == []


async def test_report_is_repeated(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A report is repeated if the driver exits during the call."""
    hadoop.behave(delay={"getStatus": 1}, applications=[RUNNING])
    await cluster.active()
    report = asyncio.create_task(cluster.report(RUNNING["id"]))
    await eventually(lambda: hadoop.calls("getStatus"))
    os.kill(hadoop.running()[0], signal.SIGKILL)
    assert (await report).id == RUNNING["id"]


async def test_submission_is_not_repeated(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A submission is not repeated if the driver exits during the call."""
    hadoop.behave(die=["submit"])
    with pytest.raises(ClusterUnavailable, match="driver was lost during submit"):
        await cluster.submit(specification())
    assert len(hadoop.calls("submit")) == 1


async def test_failed_starts_back_off(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """Drivers that exit at once are started with a back-off."""
    hadoop.behave(start={"exit": 1, "say": "java.io.IOException: disk full"})
    end = time.monotonic() + 4
    while time.monotonic() < end:
        with pytest.raises(ClusterUnavailable, match="disk full"):
            await cluster.active()
        await asyncio.sleep(0.05)
    assert len(hadoop.started()) <= 4


async def test_failed_starts_are_logged_once(
    hadoop: FakeHadoop, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """The log does not grow with the number of waiting users."""
    hadoop.behave(start={"exit": 1, "say": "java.io.IOException: disk full"})
    for _ in range(3):
        for _ in range(100):
            cluster.warm()
        with pytest.raises(ClusterUnavailable, match="disk full"):
            await cluster.active()
        await eventually(lambda: hadoop.running() == [])
    assert (
        len([record for record in caplog.records if "disk full" in record.getMessage()]) <= 4
    )  # log and error of each driver


async def test_missing_ticket(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """Without a Kerberos ticket, the error names the remedy, and the driver is replaced."""
    hadoop.behave(fail={"getApplications": ["UNAUTHENTICATED", "Kerberos ticket not found, please kinit and restart"]})
    with pytest.raises(ClusterUnavailable, match="set its principal and keytab, or run kinit"):
        await cluster.active()
    hadoop.behave(fail={})
    assert await cluster.active() == []  # a driver reads the ticket cache when it starts
    assert len(hadoop.started()) == 2


async def test_call_limit(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions do not wait while a driver at its call limit is replaced."""
    monkeypatch.setattr(client, "MAX_CALLS", 3)
    cluster = Cluster()
    for _ in range(3):
        await cluster.submit(specification())
    hadoop.behave(start={"delay": 3})
    began = time.monotonic()
    await cluster.submit(specification())
    assert time.monotonic() - began < 2.5
    await eventually(lambda: len(hadoop.started()) == 2 and len(hadoop.running()) == 1)
    await cluster.submit(specification())
    await cluster.close()


async def test_reports_are_not_counted(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports do not count towards the call limit."""
    monkeypatch.setattr(client, "MAX_CALLS", 3)
    cluster = Cluster()
    for _ in range(10):
        await cluster.active()
    assert len(hadoop.started()) == 1
    await cluster.close()


async def test_attack_too_large_specification(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A specification that would crash the driver is refused."""
    huge = skein.ApplicationSpec(user="alice", master=skein.Master(script="#" * 4_000_000, security=SECURITY))
    with pytest.raises(ClusterRefused, match="move large content into files"):
        await cluster.submit(huge)


async def test_close_during_start(hadoop: FakeHadoop) -> None:
    """Closing the client stops a driver that is starting."""
    hadoop.behave(start={"call_back": False})
    cluster = Cluster()
    cluster.warm()
    await eventually(lambda: len(hadoop.running()) == 1)
    await cluster.close()
    assert hadoop.running() == []
    with pytest.raises(ClusterUnavailable, match="shutting down"):
        await cluster.active()


# Late submissions


async def test_cancelled_submission_id(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """The id of a cancelled submission goes to `on_late`."""
    hadoop.behave(delay={"submit": 1})
    late: list[str] = []
    start = asyncio.create_task(cluster.submit(specification(), on_late=late.append))
    await eventually(lambda: hadoop.calls("submit"))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await eventually(lambda: late == ["application_1_0001"])
    assert hadoop.calls("kill") == []


async def test_cancelled_submission_is_killed(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """Without `on_late`, the application of a cancelled submission is killed."""
    hadoop.behave(delay={"submit": 1}, applications=[{**RUNNING, "id": "application_1_0001"}])
    start = asyncio.create_task(cluster.submit(specification()))
    await eventually(lambda: hadoop.calls("submit"))
    start.cancel()
    await eventually(lambda: len(hadoop.calls("kill")) == 1)


async def test_late_submission_is_passed_on(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """The id of a submission that timed out goes to `on_late`."""
    hadoop.behave(delay={"submit": 6})
    late: list[str] = []
    with pytest.raises(ClusterUnavailable, match="did not accept the application within 4 s"):
        await cluster.submit(specification(), on_late=late.append)
    hadoop.behave(delay={})
    await cluster.submit(specification())  # the slow driver does not delay other submissions
    await eventually(lambda: len(late) == 1)
    await eventually(lambda: len(hadoop.running()) == 1)  # the retired driver has finished its call


async def test_submission_cancelled_in_queue(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A submission that is cancelled in the queue is not sent."""
    hadoop.behave(delay={"submit": 1})
    first = [asyncio.create_task(cluster.submit(specification())) for _ in range(2)]
    await eventually(lambda: len(hadoop.calls("submit")) == 2)
    waiting = asyncio.create_task(cluster.submit(specification()))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(*first)
    await cluster.submit(specification())
    assert len(hadoop.calls("submit")) == 3


async def test_credentials_are_required(cluster: Cluster) -> None:
    """Without credentials of its own, an application would get the driver's."""
    with pytest.raises(ValueError, match="credentials of its own"):
        await cluster.submit(specification(security=None))


# Reports and errors


async def test_active(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """`active` lists all unfinished applications."""
    states = range(8)
    hadoop.behave(applications=[{"id": f"application_1_{state:04}", "state": state} for state in states])
    assert [report.state for report in await cluster.active()] == [
        "NEW",
        "NEW_SAVING",
        "SUBMITTED",
        "ACCEPTED",
        "RUNNING",
    ]


async def test_unknown_application(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """An application is unknown only if the ResourceManager answers."""
    with pytest.raises(ApplicationUnknown):
        await cluster.report("application_1_0001")
    hadoop.behave(fail={"getApplications": ["INTERNAL", "Failed to get applications, exception:\nConnection refused"]})
    with pytest.raises(ClusterUnavailable):
        await cluster.report("application_1_0001")


async def test_invalid_id(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """No driver is called for an invalid id."""
    for nonsense in ["", "application_x_1", "application_1_1; rm -rf", "job_1_1"]:
        with pytest.raises(ApplicationUnknown):
            await cluster.report(nonsense)
    assert hadoop.started() == []


async def test_kill_unknown_application(cluster: Cluster) -> None:
    """Killing an unknown application succeeds."""
    await cluster.kill("application_1_0001", "alice")


async def test_kill_during_outage(hadoop: FakeHadoop, cluster: Cluster) -> None:
    """A kill fails while YARN does not answer."""
    hadoop.behave(fail={"getApplications": ["INTERNAL", "Failed to get applications, exception:\nConnection refused"]})
    with pytest.raises(ClusterUnavailable):
        await cluster.kill("application_1_0001", "alice")


def test_not_available_is_empty() -> None:
    """YARN's "N/A" is read as an empty text."""
    message = messages.ApplicationReport(
        id="application_1_1", host="N/A", port=-1, tracking_url="N/A", diagnostics="N/A"
    )
    assert Report.read(message) == Report("application_1_1")


def test_lists_reuse_reports() -> None:
    """Unchanged reports of a list are reused, changed ones are read again."""

    def answer(**changed: Any) -> bytes:
        reports = [
            messages.ApplicationReport(**{**RUNNING, **changed, "usage": {"memory_seconds": time.time_ns()}}),
            messages.ApplicationReport(id="application_1_0008", progress=time.time()),
        ]
        return bytes(messages.ApplicationsResponse(reports=reports).SerializeToString())

    lists = ReportLists()
    first = lists.read(answer())
    assert [report.id for report in first] == [RUNNING["id"], "application_1_0008"]
    second = lists.read(answer())
    assert all(before is after for before, after in zip(first, second, strict=True))
    third = lists.read(answer(diagnostics="preempted"))
    assert third == [replace(first[0], diagnostics="preempted"), first[1]]


@pytest.mark.parametrize(
    ("code", "details", "kind", "text"),
    [
        (
            "INTERNAL",
            "Failed to submit application, exception:\nUser: jupyterhub@SITE is not allowed to impersonate carl",
            ClusterRefused,
            "User: jupyterhub@SITE is not allowed to impersonate carl",
        ),
        (
            "INTERNAL",
            (
                "org.apache.hadoop.yarn.exceptions.YarnException: Failed to submit application_1_1 to YARN : "
                "org.apache.hadoop.security.AccessControlException: Queue root.stopped is STOPPED. Cannot accept submission"
            ),
            ClusterRefused,
            "Queue root.stopped is STOPPED. Cannot accept submission",
        ),
        (
            "INTERNAL",
            (
                "Failed to submit application, exception:\norg.apache.hadoop.yarn.exceptions.YarnException: "
                "No room\n\tat org.apache.Some.method(Some.java:1)\nCaused by: java.lang.Exception"
            ),
            ClusterRefused,
            "No room",
        ),
        (
            "INTERNAL",
            "Failed to submit application, exception:\nCannot create file. Name node is in safe mode.",
            ClusterUnavailable,
            "Cannot create file. Name node is in safe mode.",
        ),
        ("INTERNAL", "Failed to submit application, exception:\nnull", ClusterRefused, "YARN gave no reason"),
        (
            "INTERNAL",
            (
                "Failed to submit application, exception:\nCall From edge/10.0.0.1 to nn:8020 failed on connection exception: "
                "java.net.ConnectException: Connection refused; For more details see:  http://wiki.apache.org/hadoop/Refused"
            ),
            ClusterUnavailable,
            "Connection refused",
        ),
        (
            "INTERNAL",
            (
                "Failed to kill application, exception:\nDestHost:destPort rm:8032 , LocalHost:localPort edge:0. Failed on local "
                "exception: java.io.IOException: Client cannot authenticate via:[TOKEN, KERBEROS]"
            ),
            ClusterUnavailable,
            "no valid Kerberos ticket; check its keytab, or run kinit",
        ),
        ("INVALID_ARGUMENT", "Unknown ApplicationId 'application_1_1'", ApplicationUnknown, "Unknown"),
        ("INVALID_ARGUMENT", "Queue 'x' does not exist", ClusterRefused, "Queue 'x' does not exist"),
        ("UNKNOWN", "", ClusterUnavailable, "The YARN driver failed"),
        ("RESOURCE_EXHAUSTED", "larger than max", AnswerTooLarge, "too large"),
    ],
)
def test_cluster_error_from(code: str, details: str, kind: type[Exception], text: str) -> None:
    """Each gRPC error becomes the right type of error, with YARN's own words."""
    error = cluster_error_from(RpcError(grpc.StatusCode[code], details))
    assert type(error) is kind
    assert text in str(error)
    assert "http://" not in str(error)


# The key-value store, served by a malicious user


@contextmanager
def master(answer: bytes, **options: Any) -> Iterator[int]:
    """Run an application master that answers everything with ``answer``, and yield its port."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()], **options)
    certificate, key = SECURITY.cert_bytes, SECURITY.key_bytes
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield port
    server.stop(0).wait(5)


@asynccontextmanager
async def store_at(port: int, security: skein.Security = SECURITY) -> AsyncIterator[Store]:
    store = Store("application_1_1", "127.0.0.1", port, security.cert_bytes, security.key_bytes)
    yield store
    await store.close()


def values(*items: tuple[str, bytes]) -> bytes:
    result = [messages.KeyValue(key=key, value=value) for key, value in items]
    return bytes(messages.GetRangeResponse(count=len(result), result=result).SerializeToString())


async def test_get() -> None:
    """A value is read from the store."""
    with master(values(("address", b"here"))) as port:
        async with store_at(port) as store:
            assert await store.get("address") == b"here"


async def test_get_missing_key() -> None:
    """A missing key is None."""
    with master(values()) as port:
        async with store_at(port) as store:
            assert await store.get("address") is None


@pytest.mark.parametrize(
    "answer",
    [values(("another", b"there")), bytes(messages.GetRangeResponse(count=1).SerializeToString())],
)
async def test_get_other_key(answer: bytes) -> None:
    """A value of another key is ignored."""
    with master(answer) as port:
        async with store_at(port) as store:
            assert await store.get("address") is None


async def test_get_prefix() -> None:
    """All values under a prefix come with one request."""
    with master(values(("server.address", b"here"), ("server.error", b"none"))) as port:
        async with store_at(port) as store:
            assert await store.get_prefix("server.") == {"server.address": b"here", "server.error": b"none"}


async def test_large_value_is_refused() -> None:
    """A value of 10 MiB is refused."""
    with master(values(("address", bytes(10 << 20)))) as port:
        async with store_at(port) as store:
            with pytest.raises(ClusterRefused, match="sent more than 64 KiB"):
                await store.get("address")


async def test_compressed_value_is_refused() -> None:
    """A compressed value of 10 MiB is not decompressed."""
    with master(values(("address", bytes(10 << 20))), compression=grpc.Compression.Gzip) as port:
        async with store_at(port) as store:
            with pytest.raises((ClusterRefused, ClusterUnavailable)):
                await store.get("address")


async def test_largest_value() -> None:
    """A value of 64 KiB is read."""
    with master(values(("address", bytes(LARGEST_VALUE)))) as port:
        async with store_at(port) as store:
            assert await store.get("address") == bytes(LARGEST_VALUE)


async def test_invalid_answer() -> None:
    """An answer that is no protobuf message is refused."""
    with master(b"\xff\xff\xff") as port:
        async with store_at(port) as store:
            with pytest.raises(ClusterRefused, match="an invalid answer"):
                await store.get("address")


async def test_other_credentials() -> None:
    """The credentials of another application are refused."""
    with master(values(("address", b"here"))) as port:
        async with store_at(port, skein.Security.new_credentials()) as store:
            with pytest.raises(ClusterUnavailable, match="application_1_1 does not answer"):
                await store.get("address", timeout=1)


async def test_many_silent_masters() -> None:
    """200 silent application masters do not delay another store."""
    async with AsyncExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=500))
        port = stack.enter_context(master(values(("address", b"here"))))
        gets = []
        for _ in range(200):
            store = await stack.enter_async_context(store_at(silent.getsockname()[1]))
            gets.append(asyncio.create_task(store.get("address", timeout=60)))
        await asyncio.sleep(0.5)
        live = await stack.enter_async_context(store_at(port))
        assert await live.get("address", timeout=10) == b"here"
        assert not any(get.done() for get in gets)
        for get in gets:
            get.cancel()
        await asyncio.wait(gets)


async def test_silent_master_times_out() -> None:
    """A silent application master times out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with store_at(silent.getsockname()[1]) as store:
            began = time.monotonic()
            with pytest.raises(ClusterUnavailable, match="application_1_1 does not answer"):
                await store.get("address", timeout=1)
            assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("", 80),
        ("unix", 0),
        ("unix:/run/docker.sock", 80),
        ("dns:///evil", 80),
        ("a b", 80),
        ("a\n", 80),
        ("-x", 80),
        ("node,evil", 80),
        ("node/path", 80),
        ("node", 0),
        ("node", 65536),
        ("node", -1),
        ("x" * 300, 80),
    ],
)
def test_invalid_addresses(host: str, port: int) -> None:
    """Invalid addresses are refused."""
    with pytest.raises(ClusterRefused, match="an invalid address"):
        Store("application_1_1", host, port, SECURITY.cert_bytes, SECURITY.key_bytes)


@pytest.mark.parametrize("host", ["worker-1.example.com", "10.0.0.7", "fe80::1", "unix"])
def test_valid_addresses(host: str) -> None:
    """gRPC resolves every valid host as a host name."""
    store = Store("application_1_1", host, 80, SECURITY.cert_bytes, SECURITY.key_bytes)
    assert store._channel._target.startswith("dns:///")
