from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from yarnspawner.skein_driver import AnswerTooLarge, ApplicationUnknown, ClusterRefused, ClusterUnavailable, Report
from yarnspawner.yarn import reflector as applications
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.status import Status

ID = "application_1_0001"
RUNNING = Report(ID, user="alice", state="RUNNING", host="worker", rpc_port=4711)
KILLED = replace(RUNNING, state="KILLED", final_status="KILLED", diagnostics="killed by an admin")


class Lists:
    """A cluster whose answers a test sets by hand: what is listed, what single reports say, and whether it answers."""

    def __init__(self) -> None:
        self.listed: list[Report] = []
        self.reports: dict[str, Report] = {}
        self.unavailable = ""
        self.delay = 0.0
        self.lists = 0
        self.single = 0

    async def active(self) -> list[Report]:
        self.lists += 1
        self._answer()
        listed = list(self.listed)
        await asyncio.sleep(self.delay)
        return listed

    async def report(self, application_id: str) -> Report:
        self.single += 1
        self._answer()
        if application_id not in self.reports:
            raise ApplicationUnknown(application_id)
        return self.reports[application_id]

    def _answer(self) -> None:
        if self.unavailable:
            raise ClusterUnavailable(self.unavailable)


def watch_fast(view: ApplicationReflector, application_id: str) -> None:
    """Watch an application, and refresh every `fast` seconds as long as the view exists."""
    view.watch(application_id)
    context = view.watch_closely(application_id)
    context.__enter__()
    vars(view).setdefault("contexts", []).append(context)


@pytest.fixture
def yarn() -> Lists:
    return Lists()


@pytest.fixture
async def view(yarn: Lists) -> AsyncIterator[ApplicationReflector]:
    view = ApplicationReflector(yarn, fast=0.02, slow=0.3, log=logging.getLogger("test.view"))  # type: ignore[arg-type]
    yield view
    await view.close()


async def until(view: ApplicationReflector, condition: object, within: float = 3) -> Status:
    """Wait, as a spawner does, until a status has a report in that state (or is unknown, for None)."""
    status = await view.status(ID)
    end = time.monotonic() + within
    while not (not status.known if condition is None else status.report and status.report.state == condition):
        assert time.monotonic() < end, status
        status = await view.wait_change(ID, status, 1)
    return status


async def test_a_start_is_seen_step_by_step(view: ApplicationReflector, yarn: Lists) -> None:
    """A spawner sees each state of a starting application."""
    yarn.listed = [replace(RUNNING, state="ACCEPTED")]
    watch_fast(view, ID)
    assert (await until(view, "ACCEPTED")).known
    yarn.listed = [RUNNING]
    status = await until(view, "RUNNING", within=2)
    assert status == Status(RUNNING, known=True)


async def test_first_status(view: ApplicationReflector, yarn: Lists) -> None:
    """The first status of a watched application requests a list at once."""
    yarn.listed = [RUNNING]
    view.watch(ID)
    assert await view.status(ID) == Status(RUNNING, known=True)


async def test_end_needs_report(view: ApplicationReflector, yarn: Lists) -> None:
    """An application that the list lacks has ended when YARN's report of it says so."""
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    view.watch(ID)
    await until(view, "RUNNING")
    yarn.listed = []
    status = await until(view, "KILLED")
    assert status.ended
    assert status.report is not None
    assert status.report.diagnostics == "killed by an admin"


async def test_end_seen_by_report(yarn: Lists) -> None:
    """A single report shows the end of a killed application without a new list."""
    view = ApplicationReflector(yarn, fast=600, slow=600, log=logging.getLogger("test.view"))  # type: ignore[arg-type]
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    view.watch(ID)
    await until(view, "RUNNING")
    await view.refresh_one(ID)
    assert (await view.status(ID)).ended
    await view.close()


async def test_unlisted_but_running(view: ApplicationReflector, yarn: Lists) -> None:
    """An application that the list lacks is running if its report says so."""
    yarn.reports = {ID: RUNNING}
    view.watch(ID)
    assert await view.status(ID) == Status(RUNNING, known=True)


async def test_forgotten_application(view: ApplicationReflector, yarn: Lists) -> None:
    """An application that YARN no longer knows has ended with an undefined result."""
    yarn.listed = [RUNNING]
    watch_fast(view, ID)
    await until(view, "RUNNING")
    yarn.listed = []
    status = await until(view, "FINISHED")
    assert status.report is not None
    assert status.report.final_status == "UNDEFINED"
    assert "no longer knows" in status.report.diagnostics
    assert status.report.user == "alice"
    assert yarn.single >= 2


async def test_one_list_is_not_enough(view: ApplicationReflector, yarn: Lists) -> None:
    """An application that YARN does not know has not ended after a single list without it."""
    view.watch(ID)
    status = await view.status(ID)
    assert not status.ended
    assert not status.known


async def test_outage_ends_nothing(view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture) -> None:
    """An outage of the ResourceManager makes the status unknown, ends no application, and is logged once."""
    yarn.listed = [RUNNING]
    watch_fast(view, ID)
    await until(view, "RUNNING")
    yarn.unavailable = "Connection refused"
    status = await until(view, None)
    assert status.report == RUNNING
    assert status.reason == "Connection refused"
    assert status.unknown_since is not None
    assert abs(status.unknown_since - time.monotonic()) < 1
    await asyncio.sleep(0.5)
    assert await view.status(ID) == status
    yarn.unavailable = ""
    assert (await until(view, "RUNNING")).report == RUNNING
    status = await view.wait_change(ID, status, 2)
    assert status == Status(RUNNING, known=True)
    messages = [record.getMessage() for record in caplog.records]
    assert len([message for message in messages if "does not answer" in message]) == 1
    assert len([message for message in messages if "answers again" in message]) == 1


async def test_end_known_in_outage(view: ApplicationReflector, yarn: Lists) -> None:
    """The end of an application stays known during an outage of YARN."""
    yarn.reports = {ID: KILLED}
    watch_fast(view, ID)
    await until(view, "KILLED")
    yarn.unavailable = "Connection refused"
    with pytest.raises(ClusterUnavailable):
        await view.find("tag")
    assert await view.status(ID) == Status(KILLED, known=True)


async def test_a_refused_report_is_no_end(view: ApplicationReflector, yarn: Lists) -> None:
    """A report that YARN refuses for a reason of its own says nothing of the application, watched or not."""
    yarn.listed = [RUNNING]
    watch_fast(view, ID)
    await until(view, "RUNNING")

    async def refused(application_id: str) -> Report:
        raise ClusterRefused("java.lang.NullPointerException")

    yarn.report = refused  # type: ignore[method-assign]
    yarn.listed = []
    await until(view, None)
    lists = yarn.lists
    while yarn.lists < lists + 3:
        await asyncio.sleep(0.02)
    assert not (await view.status(ID)).ended
    refused_alone = await view.status("application_1_0009")
    assert refused_alone == Status(None, known=False)
    assert refused_alone.reason == "java.lang.NullPointerException"


async def test_end_without_report(view: ApplicationReflector, yarn: Lists) -> None:
    """An end is unknown until YARN answers requests for single reports again."""
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    watch_fast(view, ID)
    await until(view, "RUNNING")

    async def broken(application_id: str) -> Report:
        raise ClusterUnavailable("no answer")

    working, yarn.report = yarn.report, broken  # type: ignore[method-assign]
    yarn.listed = []
    status = await until(view, None)
    assert not status.ended
    yarn.report = working  # type: ignore[method-assign]
    await until(view, "KILLED")


async def test_list_before_submission(view: ApplicationReflector, yarn: Lists) -> None:
    """A list that was requested before a submission does not count for the submitted application."""
    yarn.delay = 0.1
    listing = asyncio.create_task(view.tagged("tag"))
    await asyncio.sleep(0.02)
    yarn.listed = [RUNNING]
    watch_fast(view, ID)
    await listing
    assert (await view.status(ID)).report == RUNNING
    assert yarn.single == 0


async def test_thousand_servers(view: ApplicationReflector, yarn: Lists) -> None:
    """The statuses of a thousand servers cost at most two lists and no single report."""
    yarn.listed = [replace(RUNNING, id=f"application_1_{number:04}") for number in range(1000)]
    for report in yarn.listed:
        view.watch(report.id)
    statuses = await asyncio.gather(*(view.status(report.id) for report in yarn.listed))
    assert all(status.known for status in statuses)
    assert yarn.lists <= 2
    assert yarn.single == 0


async def test_list_is_shared(view: ApplicationReflector, yarn: Lists) -> None:
    """A thousand concurrent searches by tag share one list."""
    yarn.listed = [replace(RUNNING, id=f"application_1_{n:04}", tags=frozenset({f"tag{n}"})) for n in range(1000)]
    yarn.delay = 0.05
    found = await asyncio.gather(*(view.find(f"tag{n}") for n in range(1000)))
    assert [report.id for report in found if report] == [report.id for report in yarn.listed]
    assert yarn.lists == 1


async def test_late_search_gets_next_list(view: ApplicationReflector, yarn: Lists) -> None:
    """A search that begins during a list gets its answer from the next list."""
    yarn.delay = 0.1
    early = asyncio.create_task(view.find("tag"))
    await asyncio.sleep(0.02)
    yarn.listed = [replace(RUNNING, tags=frozenset({"tag"}))]
    assert await view.find("tag") == yarn.listed[0]
    assert await early is None


async def test_no_lists_without_watch(view: ApplicationReflector, yarn: Lists) -> None:
    """The view requests no lists while it watches no application."""
    yarn.listed = [RUNNING]
    await asyncio.sleep(0.1)
    assert yarn.lists == 0
    view.watch(ID)
    await until(view, "RUNNING")
    view.unwatch(ID)
    await asyncio.sleep(0.4)
    asked = yarn.lists
    await asyncio.sleep(0.2)
    assert yarn.lists == asked


async def test_no_lists_after_end(view: ApplicationReflector, yarn: Lists) -> None:
    """The view requests no lists after all watched applications have ended."""
    yarn.reports = {ID: KILLED}
    watch_fast(view, ID)
    await until(view, "KILLED")
    await asyncio.sleep(0.1)
    asked = yarn.lists
    await asyncio.sleep(0.2)
    assert yarn.lists == asked


async def test_fast_interval(view: ApplicationReflector, yarn: Lists) -> None:
    """The view refreshes quickly only while an application starts or stops."""
    yarn.listed = [RUNNING]
    view.watch(ID)
    await asyncio.sleep(0.65)
    assert yarn.lists <= 4
    before = yarn.lists
    with view.watch_closely(ID):
        await asyncio.sleep(0.5)
    assert yarn.lists - before >= 5
    await asyncio.sleep(0.1)
    before = yarn.lists
    await asyncio.sleep(0.5)
    assert yarn.lists - before <= 3


async def test_fifty_starts(view: ApplicationReflector, yarn: Lists) -> None:
    """Fifty starts in a moment cost at most one list for each fast interval."""
    began = time.monotonic()
    for number in range(50):
        watch_fast(view, f"application_1_{number:04}")
        await asyncio.sleep(0.002)
    # One for each interval, however long the fifty took on a busy machine.
    assert yarn.lists <= (time.monotonic() - began) / view._fast + 2


async def test_slow_resource_manager(view: ApplicationReflector, yarn: Lists) -> None:
    """A slow ResourceManager gets fewer requests for lists."""
    yarn.listed, yarn.delay = [RUNNING], 0.1
    watch_fast(view, ID)
    await asyncio.sleep(1.2)
    assert yarn.lists <= 4


async def test_one_slow_list(view: ApplicationReflector, yarn: Lists) -> None:
    """One slow list, such as one that waits for the driver's start, does not delay the next list."""
    yarn.listed, yarn.delay = [replace(RUNNING, state="ACCEPTED")], 1.0
    watch_fast(view, ID)
    await until(view, "ACCEPTED")
    yarn.listed, yarn.delay = [RUNNING], 0.0
    await until(view, "RUNNING", within=1.5)


async def test_fewer_lists_in_outage(view: ApplicationReflector, yarn: Lists) -> None:
    """The view requests fewer lists during an outage of YARN."""
    yarn.unavailable = "Connection refused"
    watch_fast(view, ID)
    await asyncio.sleep(1)
    assert yarn.lists <= 8


async def test_close_watch_ends(view: ApplicationReflector, yarn: Lists) -> None:
    """The lists stop when the last context of a close watch of an unowned application exits."""
    yarn.listed = [RUNNING]
    first, second = view.watch_closely(ID), view.watch_closely(ID)
    first.__enter__()
    second.__enter__()
    await asyncio.sleep(0.4)
    assert yarn.lists >= 4
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    await asyncio.sleep(0.4)
    asked = yarn.lists
    await asyncio.sleep(0.5)
    assert yarn.lists == asked


async def test_slow_after_close_watch(view: ApplicationReflector, yarn: Lists) -> None:
    """After a close watch, the view refreshes an owned application in the slow interval."""
    yarn.listed = [RUNNING]
    view.watch(ID)
    with view.watch_closely(ID):
        view.watch(ID)  # whoever owns it may say so again meanwhile
        await asyncio.sleep(0.4)
        assert yarn.lists >= 4
    await asyncio.sleep(0.1)
    before = yarn.lists
    await asyncio.sleep(1)
    assert 2 <= yarn.lists - before <= 5


async def test_end_after_unwatch(view: ApplicationReflector, yarn: Lists) -> None:
    """A close watch sees the end of an application that its spawner no longer watches."""
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    view.watch(ID)
    with view.watch_closely(ID):
        await until(view, "RUNNING")
        view.unwatch(ID)
        yarn.listed = []
        assert await view.ended(ID, timeout=1)


async def test_on_end_is_called_once(view: ApplicationReflector, yarn: Lists) -> None:
    """The view calls the callback of a watched application once when the application ends."""
    yarn.listed = [RUNNING]
    told = []
    view.watch(ID, on_end=lambda: told.append(ID))
    await view.status(ID)
    assert not told
    yarn.listed, yarn.reports = [], {ID: replace(RUNNING, state="KILLED", final_status="KILLED")}
    with view.watch_closely(ID):
        assert await view.ended(ID, timeout=5)
    assert told == [ID]
    await view.refresh_one(ID)
    assert told == [ID]


async def test_wait_without_end(view: ApplicationReflector, yarn: Lists) -> None:
    """A wait for an end returns false if the application still runs after the timeout."""
    yarn.listed = [RUNNING]
    with view.watch_closely(ID):
        assert not await view.ended(ID, timeout=0.1)


async def test_wait_for_unwatched(view: ApplicationReflector, yarn: Lists) -> None:
    """A wait for the end of an unwatched application requests few reports."""
    yarn.reports = {ID: RUNNING}
    assert not await view.ended(ID, timeout=0.5)
    yarn.unavailable = "Connection refused"
    assert not await view.ended(ID, timeout=0.5)
    assert yarn.single <= 8


async def test_wait_timeout(view: ApplicationReflector, yarn: Lists) -> None:
    """A wait for a change returns the known status after its timeout."""
    yarn.listed = [RUNNING]
    view.watch(ID)
    status = await view.status(ID)
    began = time.monotonic()
    assert await view.wait_change(ID, status, 0.1) == status
    assert 0.05 < time.monotonic() - began < 1


async def test_status_of_unwatched(view: ApplicationReflector, yarn: Lists) -> None:
    """The status of an unwatched application comes from one single report, without a list."""
    yarn.reports = {ID: RUNNING}
    assert await view.status(ID) == Status(RUNNING, known=True)
    forgotten = await view.status("application_1_0002")
    assert forgotten.ended
    assert forgotten.report is not None
    assert forgotten.report.id == "application_1_0002"
    yarn.unavailable = "Connection refused"
    status = await view.status(ID)
    assert not status.known
    assert not status.ended
    assert status.reason == "Connection refused"
    assert status.unknown_since is not None
    assert yarn.lists == 0


async def test_find_by_tag_and_user(view: ApplicationReflector, yarn: Lists) -> None:
    """A search by tag and user ignores an application of another user with the same tag."""
    early, late = (datetime(2026, 11, day, tzinfo=timezone.utc) for day in (1, 2))
    mine = replace(RUNNING, id="application_1_0001", tags=frozenset({"hub:alice"}), started=early)
    forged = replace(RUNNING, id="application_1_0002", tags=frozenset({"hub:alice"}), started=late, user="mallory")
    yarn.listed = [forged, mine]
    assert await view.find("Hub:Alice", user="alice") == mine
    assert await view.find("hub:alice") == forged
    assert await view.find("hub:bob") is None
    assert await view.tagged("hub:alice") == [forged, mine]


async def test_find_in_outage(view: ApplicationReflector, yarn: Lists) -> None:
    """A search raises ClusterUnavailable during an outage of YARN."""
    yarn.unavailable = "Connection refused"
    with pytest.raises(ClusterUnavailable):
        await view.find("hub:alice")


async def test_unexpected_error(view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture) -> None:
    """The view logs an unexpected error in a list and continues."""

    async def broken() -> list[Report]:
        raise KeyError("no such thing")

    working, yarn.active = yarn.active, broken  # type: ignore[method-assign]
    watch_fast(view, ID)
    await asyncio.sleep(0.1)
    yarn.active, yarn.listed = working, [RUNNING]  # type: ignore[method-assign]
    await until(view, "RUNNING")
    assert "no such thing" in caplog.text


async def test_unreadable_list(view: ApplicationReflector, yarn: Lists) -> None:
    """After a list that cannot be read, callers get ClusterUnavailable and watched applications are unknown."""

    async def broken() -> list[Report]:
        raise KeyError("no such thing")

    yarn.active = broken  # type: ignore[method-assign]
    view._entry(ID)
    with pytest.raises(ClusterUnavailable, match="no such thing"):
        await view.tagged("tag")
    status = await view.status(ID)
    assert (status.known, status.reason) == (False, "'no such thing'")


async def test_one_start_is_enough(view: ApplicationReflector, yarn: Lists) -> None:
    """One application that starts among running servers is enough for frequent lists."""
    other = replace(RUNNING, id="application_1_0002")
    yarn.listed = [RUNNING, other]
    view.watch(ID)
    watch_fast(view, other.id)
    await asyncio.sleep(0.6)
    assert yarn.lists >= 5


async def test_a_close_watch_looks_at_once(yarn: Lists) -> None:
    """A stop does not wait for the next of the rare lists."""
    view = ApplicationReflector(yarn, fast=0.02, slow=600, log=logging.getLogger("test.view"))  # type: ignore[arg-type]
    yarn.listed = [RUNNING]
    view.watch(ID)
    await until(view, "RUNNING")
    await asyncio.sleep(0.1)
    before = yarn.lists
    with view.watch_closely(ID):
        await asyncio.sleep(0.3)
        assert yarn.lists > before
    await view.close()


async def test_last_close_watcher(view: ApplicationReflector, yarn: Lists) -> None:
    """An unowned application stays in the view until its last close watch ends."""
    yarn.listed = [RUNNING]
    first, second = view.watch_closely(ID), view.watch_closely(ID)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert ID in view._watched
    second.__exit__(None, None, None)
    assert view._watched == {}


async def test_has_report(view: ApplicationReflector, yarn: Lists) -> None:
    """A poll waits for the first answer only while YARN may still give one."""
    assert not view.has_report(ID)
    yarn.delay = 0.05
    yarn.listed = [RUNNING]
    view.watch(ID)
    assert not view.has_report(ID)
    await view.status(ID)
    assert view.has_report(ID)
    late = "application_1_0002"
    yarn.reports = {late: replace(KILLED, id=late)}
    view.watch(late)
    assert not view.has_report(late)
    await view.refresh_one(late)
    assert view.has_report(late)
    yarn.unavailable = "Connection refused"
    with pytest.raises(ClusterUnavailable):
        await view.find("tag")
    view.watch("application_1_0003")
    assert view.has_report("application_1_0003")


async def test_known_again_by_list(view: ApplicationReflector, yarn: Lists) -> None:
    """After a failed report the status is known again with the next list, though the report is the same."""
    yarn.listed = [RUNNING]
    watch_fast(view, ID)
    await until(view, "RUNNING")
    working, yarn.active = yarn.active, asyncio.Event().wait  # type: ignore[method-assign, assignment]
    await asyncio.sleep(0.2)
    yarn.unavailable = "Connection refused"
    await view.refresh_one(ID)
    assert not (await view.status(ID)).known
    yarn.unavailable, yarn.active = "", working  # type: ignore[method-assign]
    view._watched[ID].take(RUNNING, time.monotonic())
    assert (await view.status(ID)).known


async def test_too_large_a_list_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """Watched applications are asked for one by one, which is said once; a search still fails."""

    class Cluster:
        state = "RUNNING"

        async def active(self) -> list[Report]:
            raise AnswerTooLarge("YARN's answer is too large: 75499371 vs. 67108864")

        async def report(self, application_id: str) -> Report:
            return Report(application_id, state=self.state, final_status="SUCCEEDED")

    cluster = Cluster()
    view = ApplicationReflector(cluster, fast=0.01, slow=0.02)  # type: ignore[arg-type]
    watch_fast(view, "application_1_0001")
    assert (await view.status("application_1_0001")).report.state == "RUNNING"  # type: ignore[union-attr]
    with pytest.raises(AnswerTooLarge):
        await view.find("tag")
    cluster.state = "FINISHED"
    assert await view.ended("application_1_0001", 5)
    (said,) = [record.message for record in caplog.records if "requested separately" in record.message]
    assert "75499371 vs. 67108864" in said
    await view.close()


class TooLarge(Lists):
    """A cluster whose list is too large; each report is noted, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def active(self) -> list[Report]:
        raise AnswerTooLarge("YARN's answer is too large")

    async def report(self, application_id: str) -> Report:
        self.asked.append(application_id)
        if self.error:
            raise self.error
        return replace(RUNNING, id=application_id)


async def test_outage_stops_reports() -> None:
    """The first report that fails in an outage stops the other requests, and all statuses are unknown."""
    yarn = TooLarge()
    yarn.error = ClusterUnavailable("Connection refused")
    view = ApplicationReflector(yarn, fast=600, slow=600)  # type: ignore[arg-type]
    for number in range(5):
        view._entry(f"application_1_000{number}")
    status = await view.status("application_1_0004")
    assert yarn.asked == ["application_1_0000"]
    assert not status.known
    assert status.reason == "Connection refused"
    await view.close()


async def test_unexpected_report_error(caplog: pytest.LogCaptureFixture) -> None:
    """A poll survives an unexpected error in a report, which makes the status unknown and is logged once."""
    yarn = TooLarge()
    yarn.error = ValueError("no such state")
    view = ApplicationReflector(yarn, fast=0.01, slow=0.02)  # type: ignore[arg-type]
    watch_fast(view, ID)
    for _ in range(3):
        status = await view.status(ID)
        assert not status.known
        assert not status.ended
        await view.refresh_one(ID)
    assert len([record for record in caplog.records if "ValueError" in record.getMessage()]) == 1
    yarn.error = None
    await until(view, "RUNNING")
    await view.close()


async def test_reports_of_close_watch() -> None:
    """With single reports, a running application costs one request in the slow interval, a close watch more."""
    yarn = TooLarge()
    view = ApplicationReflector(yarn, fast=0.02, slow=600)  # type: ignore[arg-type]
    view.watch("application_1_0002")
    watch_fast(view, ID)
    await asyncio.sleep(0.3)
    assert yarn.asked.count("application_1_0002") == 1
    assert yarn.asked.count(ID) > 3
    await view.close()


async def test_reports_in_slow_interval() -> None:
    """Single reports repeat after the slow interval, except for applications that have ended."""
    yarn = TooLarge()
    view = ApplicationReflector(yarn, fast=0.02, slow=0.1)  # type: ignore[arg-type]
    view._entry("application_1_0001").report = KILLED
    view.watch("application_1_0002")
    await asyncio.sleep(0.5)
    assert yarn.asked.count("application_1_0002") > 1
    assert "application_1_0001" not in yarn.asked
    await view.close()


async def test_second_unknown_report() -> None:
    """With single reports, an application has ended when YARN says twice that it does not know it."""
    yarn = TooLarge()
    yarn.error = ApplicationUnknown(ID)
    view = ApplicationReflector(yarn, fast=600, slow=0)  # type: ignore[arg-type]
    view._entry(ID)
    assert not (await view.status(ID)).ended
    with pytest.raises(AnswerTooLarge):
        await view.tagged("tag")
    status = await view.status(ID)
    assert status.ended
    assert status.report is not None
    assert status.report.id == ID
    await view.close()


async def test_too_large_report() -> None:
    """One report that is too large does not stop the requests for the other applications."""
    yarn = TooLarge()
    yarn.error = AnswerTooLarge("YARN's answer is too large")
    view = ApplicationReflector(yarn, fast=600, slow=600)  # type: ignore[arg-type]
    ids = [f"application_1_000{number}" for number in range(3)]
    for application_id in ids:
        view._entry(application_id)
    status = await view.status(ID)
    assert yarn.asked[:3] == ids
    assert (status.ended, status.known) == (False, False)
    await view.close()


async def test_too_large_lists_are_logged(yarn: Lists, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one message each time that lists become too large, and a readable list separates the times."""
    view = ApplicationReflector(TooLarge(), fast=600, slow=600)  # type: ignore[arg-type]
    for cluster in (TooLarge(), TooLarge(), yarn, TooLarge()):
        view._cluster = cluster  # type: ignore[assignment]
        try:
            await view.tagged("tag")
        except AnswerTooLarge:
            continue
    assert caplog.text.count("requested separately") == 2


async def test_two_lists_without_it(view: ApplicationReflector, yarn: Lists) -> None:
    """An unknown application has ended after two lists without it, because one list may be older than it."""
    view._entry(ID)
    assert not (await view.status(ID)).ended
    assert await view.tagged("tag") == []
    assert not (await view.status(ID)).ended
    await view.refresh_one(ID)
    status = await view.status(ID)
    assert status.ended
    assert status.report is not None
    assert status.report.id == ID


async def test_latest_is_found(view: ApplicationReflector, yarn: Lists) -> None:
    """A search finds the latest application; one without a start is the oldest, and the later of a tie counts."""
    early, late = (datetime(2026, 11, day, tzinfo=timezone.utc) for day in (1, 2))
    tagged = [
        replace(RUNNING, id=f"application_1_000{number}", tags=frozenset({"tag"}), started=started)
        for number, started in enumerate([early, late, late, early, None])
    ]
    yarn.listed = tagged
    assert await view.find("tag") == tagged[2]
    yarn.listed = tagged[3:]
    assert await view.find("tag") == tagged[3]


@pytest.mark.parametrize(
    ("took", "fast", "outages", "errors", "waits"),
    [
        (0, True, 0, 0, [0.125]),
        (0.01, True, 0, 0, [0.2]),
        (0.05, True, 0, 0, [0.25]),
        (0, False, 0, 0, [0.125, 4.875]),
        (0.5, True, 0, 0, [2]),
        (0.5, False, 0, 0, [2, 3]),
        (10, False, 0, 0, [40]),
        (0, True, 1, 0, [0.125, 0.375]),
        (0, True, 3, 0, [0.125, 1.875]),
        (0, True, 0, 1, [0.125, 0.875]),
        (0, True, 3, 1, [0.125, 1.875]),
        (0, False, 9, 0, [0.125, 4.875]),
        (0, False, 0, 9, [0.125, 4.875]),
        (10, True, 9, 0, [5]),
    ],
)
async def test_the_pause_before_the_next_list(
    yarn: Lists, monkeypatch: pytest.MonkeyPatch, took: float, fast: bool, outages: int, errors: int, waits: list[float]
) -> None:
    """Starts shorten it, long lists prolong it, and failures double it up to the slow interval."""
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    async def wait_for_event(event: asyncio.Event, seconds: float) -> None:
        assert not event.is_set()
        paused.append(seconds)

    monkeypatch.setattr("random.random", lambda: 0.0)
    monkeypatch.setattr(applications.asyncio, "sleep", sleep)
    monkeypatch.setattr(applications, "wait_for_event", wait_for_event)
    view = ApplicationReflector(yarn, fast=0.25, slow=5)  # type: ignore[arg-type]
    view._soon = 0.125
    view._entry(ID).close_watchers = fast
    for _ in range(outages):
        view._outage.failed(ClusterUnavailable("away"))
    for _ in range(errors):
        view._refreshes.failed(KeyError("surprise"))
    await view._pause(took)
    assert paused == waits


async def test_pace_changes_at_once(yarn: Lists) -> None:
    """A close watch requests a list at once, and a repeated watch requests nothing."""
    view = ApplicationReflector(yarn, fast=0.02, slow=600)  # type: ignore[arg-type]
    yarn.listed = [RUNNING]
    view.watch(ID)
    await until(view, "RUNNING")
    await asyncio.sleep(0.1)
    asked = yarn.lists
    view.watch(ID)
    await asyncio.sleep(0.1)
    assert yarn.lists == asked
    with view.watch_closely(ID):
        await asyncio.sleep(0.2)
    assert yarn.lists > asked
    assert yarn.single == 0
    await view.close()


async def test_no_callback_after_unwatch(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    """After unwatch, the end calls no callback, and a remaining slow watch still sees the end."""
    yarn.listed = [RUNNING]
    told: list[str] = []
    with view.watch_closely(ID, closely=False):
        view.watch(ID, on_end=lambda: told.append(ID))
        view.unwatch(ID)
        assert not view._watched[ID].poll_fast
        await until(view, "RUNNING")
        yarn.listed, yarn.reports = [], {ID: KILLED}
        assert await view.ended(ID, timeout=5)
    assert not told
    assert not caplog.records


async def test_callback_error(view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture) -> None:
    """The view logs an error in a callback with its traceback, and calls the other callbacks."""
    other = "application_1_0002"
    yarn.reports = {ID: KILLED, other: replace(KILLED, id=other)}
    ended = asyncio.Event()

    def broken() -> None:
        raise KeyError("surprise")

    view.watch(ID, on_end=broken)
    view.watch(other, on_end=ended.set)
    await asyncio.wait_for(ended.wait(), 10)
    (said,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert said.name == "test.view"
    assert said.exc_info
    assert "surprise" in said.getMessage()


async def test_outage_wakes_waiters(view: ApplicationReflector, yarn: Lists) -> None:
    """A spawner that waits for a change learns of an outage and its reason at once."""
    yarn.listed = [RUNNING]
    view.watch(ID)
    status = await until(view, "RUNNING")
    waiting = asyncio.create_task(view.wait_change(ID, status, 600))
    await asyncio.sleep(0)
    yarn.unavailable = "Connection refused"
    assert not (await view.status("application_1_0009")).known
    status = await asyncio.wait_for(waiting, 5)
    assert (status.known, status.reason) == (False, "Connection refused")


async def test_report_outage_is_not_logged(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    """A report that fails in an outage makes the status unknown, and the hub's log has no error."""
    view._entry(ID)
    yarn.unavailable = "Connection refused"
    await view.refresh_one(ID)
    assert not (await view.status(ID)).known
    assert [record.getMessage() for record in caplog.records if "What became" in record.getMessage()] == []


async def test_end_is_final(view: ApplicationReflector, yarn: Lists) -> None:
    """A refresh requests a report only of a watched application that has not ended."""
    await view.refresh_one(ID)
    yarn.reports = {ID: KILLED}
    view._entry(ID)
    await view.refresh_one(ID)
    assert (await view.status(ID)).ended
    await view.refresh_one(ID)
    assert yarn.single == 1


async def test_close_leaves_no_task(yarn: Lists) -> None:
    """Neither a list in flight nor the next one outlives the view."""
    view = ApplicationReflector(yarn, fast=600, slow=600)  # type: ignore[arg-type]
    view.watch(ID)
    yarn.delay = 600
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(view.tagged("tag"))
    await asyncio.sleep(0.01)
    await view.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_failed_list_is_not_logged(yarn: Lists) -> None:
    """asyncio logs nothing if the caller of a list is cancelled before the list fails."""
    logged = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["message"]))
    gate = asyncio.Event()

    async def fail() -> list[Report]:
        await gate.wait()
        raise ClusterUnavailable("away")

    yarn.active = fail  # type: ignore[method-assign]
    view = ApplicationReflector(yarn)  # type: ignore[arg-type]
    caller = asyncio.ensure_future(view.tagged("tag"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert logged == []
    await view.close()
