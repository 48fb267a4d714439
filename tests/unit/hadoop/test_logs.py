"""Parsing the output of ``yarn logs``. A script stands in for the command; tests/cluster uses the real one."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.support.fuzzing import many
from yarnspawner.hadoop import logs
from yarnspawner.hadoop.http_client import HadoopHttpClient
from yarnspawner.hadoop.logs import LogsDenied, LogsUnavailable, running_tail, tail
from yarnspawner.hadoop.resourcemanager import Node

APPLICATION = "application_1795410751886_0001"
STARS = "***************************************************************************************"


def section(name: str, content: str, end: str = "") -> str:
    """Return a log file in the output format of Hadoop 3.4.3."""
    return f"""Container: container_1795410751886_0001_01_000001 on localhost_28594
LogAggregationType: AGGREGATED
====================================================================
LogType:{name}
LogLastModifiedTime:Mon Nov 23 05:13:34 +0000 2026
LogLength:{len(content)}
LogContents:
{content}
End of LogType:{name}{end}
{STARS}

"""


MASTER = section(
    "application.master.log", "26/11/23 05:13:22 INFO skein.ApplicationMaster: Starting Skein version 0.8.2\n"
)
EMPTY = section("prelaunch.err", "")
NOT_YET = f"""Can not find any log file matching the pattern: [...] for the application: {APPLICATION}
Can not find the logs for the application: {APPLICATION} with the appOwner: alice
"""


@pytest.fixture
def yarn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `yarn` that records its arguments and prints the file `output`, or fails with the file `errors`."""
    script = tmp_path / "yarn"
    script.write_text(
        f"""#!/bin/sh
echo "$HADOOP_PROXY_USER: $*" >> {tmp_path}/calls
sleep $(cat {tmp_path}/seconds 2>/dev/null || echo 0)
if [ -e {tmp_path}/errors ]; then cat {tmp_path}/errors >&2; exit 255; fi
cat {tmp_path}/output
"""
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(logs, "_PAUSE", 0.1)
    monkeypatch.setattr(logs, "_MIN_ATTEMPT", 0.1)
    return tmp_path


async def test_server_log(yarn: Path) -> None:
    """The last lines of the server's log are returned."""
    (yarn / "output").write_text(MASTER + section("application.driver.log", "one\ntwo\nthree\n") + EMPTY)
    assert await tail(APPLICATION, "alice", lines=2) == "two\nthree"


async def test_impersonation(yarn: Path) -> None:
    """The log is read as the user."""
    (yarn / "output").write_text(section("application.driver.log", "one"))
    await tail(APPLICATION, "alice")
    assert (yarn / "calls").read_text().startswith(f"alice: logs -applicationId {APPLICATION} -appOwner alice ")


async def test_service_log(yarn: Path) -> None:
    """The log of a server in a service container is returned."""
    (yarn / "output").write_text(MASTER + section("server.log", "hello\n"))
    assert await tail(APPLICATION, "alice") == "hello"


async def test_application_master_log(yarn: Path) -> None:
    """If the server's log is empty, the application master's is returned."""
    (yarn / "output").write_text(section("application.driver.log", "") + MASTER + EMPTY)
    assert "Starting Skein" in await tail(APPLICATION, "alice")


async def test_forged_end_of_file(yarn: Path) -> None:
    """Another file's end marker in a log does not truncate it."""
    (yarn / "output").write_text(section("application.driver.log", "a\nEnd of LogType:stderr\nb\n"))
    assert await tail(APPLICATION, "alice") == "a\nEnd of LogType:stderr\nb"


async def test_running_container(yarn: Path) -> None:
    """The log of a running container is returned as well."""
    end = ".This log file belongs to a running container (container_1) and so may not be complete."
    (yarn / "output").write_text(section("application.driver.log", "so far", end))
    assert await tail(APPLICATION, "alice") == "so far"


async def test_empty_log(yarn: Path) -> None:
    """A server without output has an empty log."""
    (yarn / "output").write_text(EMPTY)
    assert await tail(APPLICATION, "alice") == ""


async def test_retry_during_aggregation(yarn: Path) -> None:
    """While YARN aggregates the logs, the read is retried."""
    (yarn / "errors").write_text(NOT_YET)
    (yarn / "output").write_text(section("application.driver.log", "here"))
    reading = asyncio.create_task(tail(APPLICATION, "alice", timeout=10))
    await asyncio.sleep(0.5)
    (yarn / "errors").unlink()
    assert await reading == "here"


async def test_aggregation_timeout(yarn: Path) -> None:
    """If the logs are not available in time, the error has YARN's reason."""
    (yarn / "errors").write_text(NOT_YET)
    started = time.monotonic()
    with pytest.raises(LogsUnavailable, match="Can not find the logs for the application"):
        await tail(APPLICATION, "alice", timeout=1)
    assert time.monotonic() - started < 3


async def test_command_timeout(yarn: Path) -> None:
    """A command that hangs is killed after the timeout."""
    (yarn / "seconds").write_text("30")
    started = time.monotonic()
    with pytest.raises(LogsUnavailable, match=r"within 0\.5 s"):
        await tail(APPLICATION, "alice", timeout=0.5)
    assert time.monotonic() - started < 3


async def test_denied_is_not_retried(yarn: Path) -> None:
    """A missing permission is not retried."""
    (yarn / "errors").write_text(f"User: hub@EXAMPLE.COM is not allowed to impersonate carl\n\n{NOT_YET}")
    with pytest.raises(LogsDenied, match="is not allowed to impersonate carl"):
        await tail(APPLICATION, "carl", timeout=10)
    assert len((yarn / "calls").read_text().splitlines()) == 1


async def test_concurrency_limit(yarn: Path) -> None:
    """At most two commands run at a time."""
    (yarn / "seconds").write_text("0.4")
    (yarn / "output").write_text(section("application.driver.log", "here"))
    started = time.monotonic()
    await asyncio.gather(*(tail(APPLICATION, "alice") for _ in range(4)))
    assert time.monotonic() - started >= 0.8


async def test_missing_yarn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the `yarn` command, LogsUnavailable is raised."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LogsUnavailable, match="cannot be read"):
        await tail(APPLICATION, "alice", timeout=1)


async def test_invalid_id(yarn: Path) -> None:
    """An invalid id is refused."""
    with pytest.raises(ValueError, match="not an application id"):
        await tail("-help", "alice")


class Counted(str):
    """A line that counts how many of its characters are compared."""

    __slots__ = ()
    work = 0

    def startswith(self, prefix, *_):  # type: ignore[no-untyped-def, override]
        Counted.work += 1 + min(len(self), len(prefix))
        return str.startswith(self, prefix)

    def __eq__(self, other: object) -> bool:
        Counted.work += 1 + min(len(self), len(str(other)))
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def work(lines: list[str]) -> int:
    Counted.work = 0
    logs._parse(map(Counted, lines))
    return Counted.work


FORGED = ["LogType:x", "LogContents:"]
LINES = st.sampled_from(
    [*FORGED, "LogType:", "LogType:y", "LogLength:7", "End of LogType:x", "End of LogType:y", "Log", ""]
)


@given(st.lists(LINES | st.text("LogType: \r", max_size=30), max_size=40))
@example(FORGED * 20)
@example(["End of LogType:x", *FORGED * 20])
@many()
def test_linear_time(lines: list[str]) -> None:
    """Each character of a log is compared at most a few times, even in forged frames."""
    for times in (1, 2, 64):
        assert work(lines * times) <= 4 * sum(len(line) + 1 for line in lines * times)


@given(st.dictionaries(st.sampled_from(["server.log", "kernel.log", "stderr"]), st.lists(LINES), max_size=3))
@many()
def test_parse_round_trip(files: dict[str, list[str]]) -> None:
    """Content that looks like the frame of another file is kept."""
    output = "".join(section(name, "\n".join(content)) for name, content in files.items())
    parsed = [(file.name, file.content.split("\n")) for file in logs._parse(output.split("\n"))]
    assert parsed == [(name, content or [""]) for name, content in files.items()]


def test_file_limit() -> None:
    """Only the first 64 files are parsed."""
    assert len(logs._parse((section("server.log", "a") * 100).split("\n"))) == 64


async def test_output_limit(yarn: Path) -> None:
    """A log that exceeds the output limit is returned up to the limit."""
    (yarn / "output").write_text(section("server.log", "here\n" * 300_000))
    assert (await tail(APPLICATION, "alice", lines=3)).splitlines()[:2] == ["here", "here"]


async def test_parsed_in_thread(yarn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser runs in a thread."""
    (yarn / "output").write_text(section("server.log", "here"))
    seen: list[threading.Thread] = []
    parse = logs._parse
    monkeypatch.setattr(logs, "_parse", lambda lines: seen.append(threading.current_thread()) or parse(lines))
    assert await tail(APPLICATION, "alice") == "here"
    assert seen and threading.main_thread() not in seen


class NodeManager:
    """A web service that answers with one text."""

    def __init__(self, text: str, status: int = 200) -> None:
        self.asked: list[str] = []

        class Handler(RequestHandler):
            def get(handler) -> None:  # noqa: N805
                self.asked.append(handler.request.uri)
                handler.set_status(status)
                handler.finish(text)

        listener, port = bind_unused_port()
        self.server = HTTPServer(Application([(".*", Handler)]))
        self.server.add_socket(listener)
        self.node = Node("node1", "container_1_0001_01_000001", f"http://127.0.0.1:{port}")


async def test_running_log() -> None:
    """The NodeManager of a running container returns the end of its log."""
    lines = "\n".join(f"line {number}" for number in range(100))
    manager = NodeManager(section("application.driver.log", lines, ".This log file belongs to a running container"))
    web = HadoopHttpClient("jupyterhub")
    assert await running_tail(manager.node, "application.driver.log", web, lines=2) == "line 98\nline 99"
    assert "/containerlogs/container_1_0001_01_000001/application.driver.log?size=-16384" in manager.asked[0]
    web.close()


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_running_log_refused(status: int) -> None:
    """Without permission there is no log."""
    web = HadoopHttpClient("jupyterhub")
    with pytest.raises(LogsUnavailable, match=str(status)):
        await running_tail(NodeManager("no", status).node, "server.log", web)
    with pytest.raises(LogsUnavailable, match="not known"):
        await running_tail(Node("node1"), "server.log", web)
    web.close()
