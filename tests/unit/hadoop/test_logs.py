"""What the hub makes of the output of ``yarn logs``. A script stands for the command; tests/cluster has the real one."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.fuzzing import many
from yarnspawner.hadoop import logs
from yarnspawner.hadoop.logs import LogsDenied, LogsUnavailable, tail

APPLICATION = "application_1795410751886_0001"
STARS = "***************************************************************************************"


def section(name: str, content: str, end: str = "") -> str:
    """A log file in the output of Hadoop 3.4.3."""
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
    """A `yarn` that writes down what it is asked, prints the file `output`, and the file `errors` as its errors."""
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
    monkeypatch.setattr(logs, "_LEAST", 0.1)
    return tmp_path


async def test_the_servers_own_log_is_shown(yarn: Path) -> None:
    (yarn / "output").write_text(MASTER + section("application.driver.log", "one\ntwo\nthree\n") + EMPTY)
    assert await tail(APPLICATION, "alice", lines=2) == "two\nthree"


async def test_it_is_read_as_the_user(yarn: Path) -> None:
    (yarn / "output").write_text(section("application.driver.log", "one"))
    await tail(APPLICATION, "alice")
    assert (yarn / "calls").read_text().startswith(f"alice: logs -applicationId {APPLICATION} -appOwner alice ")


async def test_of_a_server_in_its_own_container_as_well(yarn: Path) -> None:
    (yarn / "output").write_text(MASTER + section("server.log", "hello\n"))
    assert await tail(APPLICATION, "alice") == "hello"


async def test_a_server_that_never_ran_shows_the_application_masters_log(yarn: Path) -> None:
    (yarn / "output").write_text(section("application.driver.log", "") + MASTER + EMPTY)
    assert "Starting Skein" in await tail(APPLICATION, "alice")


async def test_a_log_that_looks_like_yarns_frame_is_shown_whole(yarn: Path) -> None:
    (yarn / "output").write_text(section("application.driver.log", "a\nEnd of LogType:stderr\nb\n"))
    assert await tail(APPLICATION, "alice") == "a\nEnd of LogType:stderr\nb"


async def test_the_log_of_a_running_container_is_shown_as_well(yarn: Path) -> None:
    end = ".This log file belongs to a running container (container_1) and so may not be complete."
    (yarn / "output").write_text(section("application.driver.log", "so far", end))
    assert await tail(APPLICATION, "alice") == "so far"


async def test_a_server_that_wrote_nothing_has_no_log(yarn: Path) -> None:
    (yarn / "output").write_text(EMPTY)
    assert await tail(APPLICATION, "alice") == ""


async def test_logs_that_yarn_is_still_collecting_are_waited_for(yarn: Path) -> None:
    (yarn / "errors").write_text(NOT_YET)
    (yarn / "output").write_text(section("application.driver.log", "here"))
    reading = asyncio.create_task(tail(APPLICATION, "alice", timeout=10))
    await asyncio.sleep(0.5)
    (yarn / "errors").unlink()
    assert await reading == "here"


async def test_logs_that_do_not_come_are_unavailable_in_time(yarn: Path) -> None:
    (yarn / "errors").write_text(NOT_YET)
    started = time.monotonic()
    with pytest.raises(LogsUnavailable, match="Can not find the logs for the application"):
        await tail(APPLICATION, "alice", timeout=1)
    assert time.monotonic() - started < 3


async def test_a_command_that_hangs_is_given_up_in_time(yarn: Path) -> None:
    (yarn / "seconds").write_text("30")
    started = time.monotonic()
    with pytest.raises(LogsUnavailable, match=r"within 0\.5 s"):
        await tail(APPLICATION, "alice", timeout=0.5)
    assert time.monotonic() - started < 3


async def test_what_is_denied_is_not_tried_again(yarn: Path) -> None:
    (yarn / "errors").write_text(f"User: hub@EXAMPLE.COM is not allowed to impersonate carl\n\n{NOT_YET}")
    with pytest.raises(LogsDenied, match="is not allowed to impersonate carl"):
        await tail(APPLICATION, "carl", timeout=10)
    assert len((yarn / "calls").read_text().splitlines()) == 1


async def test_at_most_two_run_at_once(yarn: Path) -> None:
    (yarn / "seconds").write_text("0.4")
    (yarn / "output").write_text(section("application.driver.log", "here"))
    started = time.monotonic()
    await asyncio.gather(*(tail(APPLICATION, "alice") for _ in range(4)))
    assert time.monotonic() - started >= 0.8


async def test_a_machine_without_yarn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LogsUnavailable, match="cannot be read"):
        await tail(APPLICATION, "alice", timeout=1)


async def test_what_is_no_applications_id_is_not_asked_for(yarn: Path) -> None:
    with pytest.raises(ValueError, match="not an application id"):
        await tail("-help", "alice")


class Counted(str):
    """A line that counts the characters which are compared with it."""

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
def test_twice_the_output_is_twice_the_work(lines: list[str]) -> None:
    """Whatever a user writes into a log, each of its characters is compared at most a few times."""
    for times in (1, 2, 64):
        assert work(lines * times) <= 4 * sum(len(line) + 1 for line in lines * times)


@given(st.dictionaries(st.sampled_from(["server.log", "kernel.log", "stderr"]), st.lists(LINES), max_size=3))
@many()
def test_files_are_parsed_as_they_were_written(files: dict[str, list[str]]) -> None:
    """A file's content is kept to the last line, also where it looks like the frame of another file."""
    output = "".join(section(name, "\n".join(content)) for name, content in files.items())
    parsed = [(file.name, file.content.split("\n")) for file in logs._parse(output.split("\n"))]
    assert parsed == [(name, content or [""]) for name, content in files.items()]


def test_the_number_of_files_is_limited() -> None:
    """Files after the first 64 are not kept."""
    assert len(logs._parse((section("server.log", "a") * 100).split("\n"))) == 64


async def test_output_beyond_a_megabyte_is_not_read(yarn: Path) -> None:
    """A log whose end was cut off is shown as far as it was read."""
    (yarn / "output").write_text(section("server.log", "here\n" * 300_000))
    assert (await tail(APPLICATION, "alice", lines=3)).splitlines()[:2] == ["here", "here"]


async def test_the_event_loop_goes_on_while_a_log_is_parsed(yarn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser runs in a thread."""
    (yarn / "output").write_text(section("server.log", "here"))
    seen: list[threading.Thread] = []
    parse = logs._parse
    monkeypatch.setattr(logs, "_parse", lambda lines: seen.append(threading.current_thread()) or parse(lines))
    assert await tail(APPLICATION, "alice") == "here"
    assert seen and threading.main_thread() not in seen
