from __future__ import annotations

import asyncio
import logging
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
from yarnspawner.skein_driver import ApplicationUnknown, Cluster, ClusterRefused, ClusterUnavailable
from yarnspawner.skein_driver import client as cluster_module
from yarnspawner.skein_driver import driver_process as launch
from yarnspawner.skein_driver.key_value_store import LARGEST_VALUE, Store
from yarnspawner.skein_driver.reports import Report, ReportLists
from yarnspawner.skein_driver.rpc import AnswerTooLarge, RpcError, meaning

SECURITY = skein.Security.new_credentials()
RUNNING = {"id": "application_1_0007", "user": "alice", "state": messages.ApplicationState.RUNNING}


@pytest.fixture
def hadoop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHadoop:
    fake = FakeHadoop(tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    launch.forget_classpath()
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


# Lanes


async def test_a_report_does_not_wait_behind_ten_submissions(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(delay={"submit": 1}, applications=[RUNNING])
    await cluster.report(RUNNING["id"])
    submissions = [asyncio.create_task(cluster.submit(specification())) for _ in range(10)]
    await eventually(lambda: hadoop.calls("submit"))
    while not all(task.done() for task in submissions):
        began = time.monotonic()
        await cluster.report(RUNNING["id"])
        assert time.monotonic() - began < 2  # and the submissions take five seconds
        await asyncio.sleep(0.1)
    assert len({task.result() for task in submissions}) == 10


async def test_a_report_does_not_wait_behind_a_kill(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(delay={"kill": 1.5}, applications=[RUNNING])
    await cluster.report(RUNNING["id"])
    kill = asyncio.create_task(cluster.kill(RUNNING["id"], "alice"))
    await eventually(lambda: hadoop.calls("kill"))
    await cluster.report(RUNNING["id"])
    assert not kill.done()
    await kill


async def test_no_more_calls_reach_a_driver_than_it_has_threads(hadoop: FakeHadoop) -> None:
    hadoop.behave(delay={"submit": 0.4})
    cluster = Cluster(submission_drivers=2)
    await asyncio.gather(*(cluster.submit(specification()) for _ in range(4)))
    await asyncio.gather(*(cluster.submit(specification()) for _ in range(8)))
    starts = sorted(hadoop.calls("submit"))[4:]
    assert max(sum(1 for start in starts if now <= start < now + 0.39) for now in starts) == 4
    await cluster.close()


async def test_warming_returns_at_once_and_the_first_user_finds_a_driver(hadoop: FakeHadoop, cluster: Cluster) -> None:
    began = time.monotonic()
    cluster.warm()
    assert time.monotonic() - began < 0.5
    await eventually(lambda: len(hadoop.running()) == 2)
    await cluster.submit(specification())
    assert len(hadoop.started()) == 2


async def test_one_access_for_all_spawners_with_the_same_settings(hadoop: FakeHadoop) -> None:
    one = Cluster.shared(principal="", java_options=["-Xmx1g"])
    assert Cluster.shared(principal="", java_options=["-Xmx1g"], log=logging.getLogger("other")) is one
    assert Cluster.shared(principal="", java_options=["-Xmx2g"]) is not one
    await one.close()
    assert Cluster.shared(principal="", java_options=["-Xmx1g"]) is not one


# Drivers that die or hang


async def test_a_hung_driver_is_replaced_and_nobody_else_waits(hadoop: FakeHadoop, cluster: Cluster) -> None:
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


async def test_a_submission_does_not_wait_its_own_time_for_a_driver_that_hung_while_idle(
    hadoop: FakeHadoop, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yarnspawner.skein_driver.driver_slots._SIGN_OF_LIFE", 0.5)
    await cluster.submit(specification())
    (hung,) = hadoop.running()
    os.kill(hung, signal.SIGSTOP)
    try:
        assert await cluster.submit(specification()) == "application_1_0002"
    finally:
        os.kill(hung, signal.SIGCONT)
    assert len(hadoop.calls("submit")) == 2


async def test_a_driver_that_dies_while_idle_is_replaced_before_anybody_needs_it(
    hadoop: FakeHadoop, cluster: Cluster
) -> None:
    await cluster.active()
    os.kill(hadoop.running()[0], signal.SIGKILL)
    await eventually(lambda: len(hadoop.started()) == 2)
    assert await cluster.active() == []


async def test_a_report_is_asked_again_when_the_driver_dies_under_it(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(delay={"getStatus": 1}, applications=[RUNNING])
    await cluster.active()
    report = asyncio.create_task(cluster.report(RUNNING["id"]))
    await eventually(lambda: hadoop.calls("getStatus"))
    os.kill(hadoop.running()[0], signal.SIGKILL)
    assert (await report).id == RUNNING["id"]


async def test_a_submission_is_never_made_twice(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(die=["submit"])
    with pytest.raises(ClusterUnavailable, match="driver was lost during submit"):
        await cluster.submit(specification())
    assert len(hadoop.calls("submit")) == 1


async def test_drivers_that_cannot_help_are_started_ever_more_rarely(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(start={"exit": 1, "say": "java.io.IOException: disk full"})
    end = time.monotonic() + 4
    while time.monotonic() < end:
        with pytest.raises(ClusterUnavailable, match="disk full"):
            await cluster.active()
        await asyncio.sleep(0.05)
    assert len(hadoop.started()) <= 4


async def test_why_no_driver_starts_is_logged_once_however_many_users_wait(
    hadoop: FakeHadoop, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    hadoop.behave(start={"exit": 1, "say": "java.io.IOException: disk full"})
    for _ in range(3):
        for _ in range(100):
            cluster.warm()
        with pytest.raises(ClusterUnavailable, match="disk full"):
            await cluster.active()
        await eventually(lambda: hadoop.running() == [])
    assert (
        len([record for record in caplog.records if "disk full" in record.getMessage()]) <= 4
    )  # its log and its error, for each driver


async def test_without_a_ticket_the_admin_is_told_what_to_do(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(fail={"getApplications": ["UNAUTHENTICATED", "Kerberos ticket not found, please kinit and restart"]})
    with pytest.raises(ClusterUnavailable, match="set its principal and keytab, or run kinit"):
        await cluster.active()
    hadoop.behave(fail={})
    assert await cluster.active() == []  # a driver looks for a ticket when it starts
    assert len(hadoop.started()) == 2


async def test_a_worn_out_driver_is_followed_by_another_without_a_pause(
    hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "WORN_OUT_AFTER", 3)
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


async def test_reports_alone_wear_no_driver_out(hadoop: FakeHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "WORN_OUT_AFTER", 3)
    cluster = Cluster()
    for _ in range(10):
        await cluster.active()
    assert len(hadoop.started()) == 1
    await cluster.close()


async def test_attack_a_description_that_no_driver_can_take_is_refused(hadoop: FakeHadoop, cluster: Cluster) -> None:
    huge = skein.ApplicationSpec(user="alice", master=skein.Master(script="#" * 4_000_000, security=SECURITY))
    with pytest.raises(ClusterRefused, match="put what is large into files"):
        await cluster.submit(huge)


async def test_closing_while_drivers_start_leaves_none(hadoop: FakeHadoop) -> None:
    hadoop.behave(start={"call_back": False})
    cluster = Cluster()
    cluster.warm()
    await eventually(lambda: len(hadoop.running()) == 1)
    await cluster.close()
    assert hadoop.running() == []
    with pytest.raises(ClusterUnavailable, match="shutting down"):
        await cluster.active()


# Submissions that nobody waits for any more


async def test_a_cancelled_submission_is_handed_over_when_it_arrives(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(delay={"submit": 1})
    late: list[str] = []
    start = asyncio.create_task(cluster.submit(specification(), on_late=late.append))
    await eventually(lambda: hadoop.calls("submit"))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await eventually(lambda: late == ["application_1_0001"])
    assert hadoop.calls("kill") == []


async def test_a_cancelled_submission_is_killed_if_nobody_says_otherwise(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(delay={"submit": 1}, applications=[{**RUNNING, "id": "application_1_0001"}])
    start = asyncio.create_task(cluster.submit(specification()))
    await eventually(lambda: hadoop.calls("submit"))
    start.cancel()
    await eventually(lambda: len(hadoop.calls("kill")) == 1)


async def test_a_submission_that_takes_too_long_is_given_up_and_handed_over_later(
    hadoop: FakeHadoop, cluster: Cluster
) -> None:
    hadoop.behave(delay={"submit": 6})
    late: list[str] = []
    with pytest.raises(ClusterUnavailable, match="did not accept the application within 4 s"):
        await cluster.submit(specification(), on_late=late.append)
    hadoop.behave(delay={})
    await cluster.submit(specification())  # the slow driver is not in the way of others
    await eventually(lambda: len(late) == 1)
    await eventually(lambda: len(hadoop.running()) == 1)  # it has done what it was dismissed for


async def test_a_submission_cancelled_while_it_waits_for_its_turn_is_never_made(
    hadoop: FakeHadoop, cluster: Cluster
) -> None:
    hadoop.behave(delay={"submit": 1})
    first = [asyncio.create_task(cluster.submit(specification())) for _ in range(2)]
    await eventually(lambda: len(hadoop.calls("submit")) == 2)
    waiting = asyncio.create_task(cluster.submit(specification()))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(*first)
    await cluster.submit(specification())
    assert len(hadoop.calls("submit")) == 3


async def test_an_application_is_never_given_the_drivers_own_credentials(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="credentials of its own"):
        await cluster.submit(specification(security=None))


# What YARN says


async def test_all_unfinished_applications_are_listed(hadoop: FakeHadoop, cluster: Cluster) -> None:
    states = range(8)
    hadoop.behave(applications=[{"id": f"application_1_{state:04}", "state": state} for state in states])
    assert [report.state for report in await cluster.active()] == [
        "NEW",
        "NEW_SAVING",
        "SUBMITTED",
        "ACCEPTED",
        "RUNNING",
    ]


async def test_an_unknown_application_is_unknown_only_while_yarn_answers(hadoop: FakeHadoop, cluster: Cluster) -> None:
    with pytest.raises(ApplicationUnknown):
        await cluster.report("application_1_0001")
    hadoop.behave(fail={"getApplications": ["INTERNAL", "Failed to get applications, exception:\nConnection refused"]})
    with pytest.raises(ClusterUnavailable):
        await cluster.report("application_1_0001")


async def test_what_cannot_be_an_id_is_not_even_asked_for(hadoop: FakeHadoop, cluster: Cluster) -> None:
    for nonsense in ["", "application_x_1", "application_1_1; rm -rf", "job_1_1"]:
        with pytest.raises(ApplicationUnknown):
            await cluster.report(nonsense)
    assert hadoop.started() == []


async def test_killing_what_yarn_does_not_know_is_done(cluster: Cluster) -> None:
    await cluster.kill("application_1_0001", "alice")


async def test_killing_while_yarn_does_not_answer_is_not_done(hadoop: FakeHadoop, cluster: Cluster) -> None:
    hadoop.behave(fail={"getApplications": ["INTERNAL", "Failed to get applications, exception:\nConnection refused"]})
    with pytest.raises(ClusterUnavailable):
        await cluster.kill("application_1_0001", "alice")


def test_a_report_has_no_texts_that_say_nothing() -> None:
    message = messages.ApplicationReport(
        id="application_1_1", host="N/A", port=-1, tracking_url="N/A", diagnostics="N/A"
    )
    assert Report.read(message) == Report("application_1_1")


def test_a_list_shows_what_changed_since_the_last() -> None:
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
        ("INTERNAL", "Failed to submit application, exception:\nnull", ClusterRefused, "no reason was given"),
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
def test_each_answer_means_refused_or_unavailable(code: str, details: str, kind: type[Exception], text: str) -> None:
    error = meaning(RpcError(grpc.StatusCode[code], details))
    assert type(error) is kind
    assert text in str(error)
    assert "http://" not in str(error)


# The store of an application: a real gRPC server, run by a user who means harm


@contextmanager
def master(answer: bytes, **options: Any) -> Iterator[int]:
    """An application master that answers everything with ``answer``; gives its port."""

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


async def test_a_value_is_read_from_the_store() -> None:
    with master(values(("address", b"here"))) as port:
        async with store_at(port) as store:
            assert await store.get("address") == b"here"


async def test_a_key_that_is_not_there_is_none() -> None:
    with master(values()) as port:
        async with store_at(port) as store:
            assert await store.get("address") is None


@pytest.mark.parametrize(
    "answer",
    [values(("another", b"there")), bytes(messages.GetRangeResponse(count=1).SerializeToString())],
)
async def test_an_answer_to_another_question_is_no_answer(answer: bytes) -> None:
    with master(answer) as port:
        async with store_at(port) as store:
            assert await store.get("address") is None


async def test_ten_megabytes_in_the_store_are_refused() -> None:
    with master(values(("address", bytes(10 << 20)))) as port:
        async with store_at(port) as store:
            with pytest.raises(ClusterRefused, match="gave more than 64 KiB"):
                await store.get("address")


async def test_ten_megabytes_of_compressed_zeros_are_not_unpacked() -> None:
    with master(values(("address", bytes(10 << 20))), compression=grpc.Compression.Gzip) as port:
        async with store_at(port) as store:
            with pytest.raises((ClusterRefused, ClusterUnavailable)):
                await store.get("address")


async def test_the_largest_value_fits() -> None:
    with master(values(("address", bytes(LARGEST_VALUE)))) as port:
        async with store_at(port) as store:
            assert await store.get("address") == bytes(LARGEST_VALUE)


async def test_what_is_no_message_is_refused() -> None:
    with master(b"\xff\xff\xff") as port:
        async with store_at(port) as store:
            with pytest.raises(ClusterRefused, match="no valid answer"):
                await store.get("address")


async def test_another_applications_credentials_do_not_open_the_store() -> None:
    with master(values(("address", b"here"))) as port:
        async with store_at(port, skein.Security.new_credentials()) as store:
            with pytest.raises(ClusterUnavailable, match="application_1_1 does not answer"):
                await store.get("address", timeout=1)


async def test_two_hundred_silent_masters_delay_nobody() -> None:
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


async def test_a_silent_master_is_given_up_after_its_time() -> None:
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
def test_what_cannot_be_an_address_is_refused(host: str, port: int) -> None:
    with pytest.raises(ClusterRefused, match="cannot be one"):
        Store("application_1_1", host, port, SECURITY.cert_bytes, SECURITY.key_bytes)


@pytest.mark.parametrize("host", ["worker-1.example.com", "10.0.0.7", "fe80::1", "unix"])
def test_what_can_be_an_address_is_taken_as_a_name(host: str) -> None:
    store = Store("application_1_1", host, 80, SECURITY.cert_bytes, SECURITY.key_bytes)
    assert store._channel._target.startswith("dns:///")
