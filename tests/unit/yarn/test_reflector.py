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
    yarn.listed = [replace(RUNNING, state="ACCEPTED")]
    watch_fast(view, ID)
    assert (await until(view, "ACCEPTED")).known
    yarn.listed = [RUNNING]
    status = await until(view, "RUNNING", within=2)
    assert status == Status(RUNNING, known=True)


async def test_the_first_answer_is_asked_for_at_once(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed = [RUNNING]
    view.watch(ID)
    assert await view.status(ID) == Status(RUNNING, known=True)


async def test_an_end_is_yarns_word_not_an_absence(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    view.watch(ID)
    await until(view, "RUNNING")
    yarn.listed = []
    status = await until(view, "KILLED")
    assert status.ended
    assert status.report is not None
    assert status.report.diagnostics == "killed by an admin"


async def test_an_end_that_somebody_has_brought_about_is_seen_without_a_list(yarn: Lists) -> None:
    view = ApplicationReflector(yarn, fast=600, slow=600, log=logging.getLogger("test.view"))  # type: ignore[arg-type]
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    view.watch(ID)
    await until(view, "RUNNING")
    await view.refresh_one(ID)
    assert (await view.status(ID)).ended
    await view.close()


async def test_what_yarn_lists_no_more_but_says_is_running_is_running(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.reports = {ID: RUNNING}
    view.watch(ID)
    assert await view.status(ID) == Status(RUNNING, known=True)


async def test_what_yarn_has_forgotten_has_ended(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_one_list_without_it_is_not_enough_for_what_yarn_does_not_know(
    view: ApplicationReflector, yarn: Lists
) -> None:
    view.watch(ID)
    status = await view.status(ID)
    assert not status.ended
    assert not status.known


async def test_a_dead_resource_manager_ends_nothing(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
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


async def test_an_end_stays_known_while_yarn_is_away(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_an_end_while_only_single_reports_fail_is_not_known_yet(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_a_list_on_its_way_says_nothing_of_what_was_submitted_meanwhile(
    view: ApplicationReflector, yarn: Lists
) -> None:
    yarn.delay = 0.1
    listing = asyncio.create_task(view.tagged("tag"))
    await asyncio.sleep(0.02)
    yarn.listed = [RUNNING]
    watch_fast(view, ID)
    await listing
    assert (await view.status(ID)).report == RUNNING
    assert yarn.single == 0


async def test_a_thousand_servers_cost_one_list(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed = [replace(RUNNING, id=f"application_1_{number:04}") for number in range(1000)]
    for report in yarn.listed:
        view.watch(report.id)
    statuses = await asyncio.gather(*(view.status(report.id) for report in yarn.listed))
    assert all(status.known for status in statuses)
    assert yarn.lists <= 2
    assert yarn.single == 0


async def test_a_thousand_adoptions_at_once_share_a_list(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed = [replace(RUNNING, id=f"application_1_{n:04}", tags=frozenset({f"tag{n}"})) for n in range(1000)]
    yarn.delay = 0.05
    found = await asyncio.gather(*(view.find(f"tag{n}") for n in range(1000)))
    assert [report.id for report in found if report] == [report.id for report in yarn.listed]
    assert yarn.lists == 1


async def test_who_asks_while_a_list_is_on_its_way_gets_the_next_one(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.delay = 0.1
    early = asyncio.create_task(view.find("tag"))
    await asyncio.sleep(0.02)
    yarn.listed = [replace(RUNNING, tags=frozenset({"tag"}))]
    assert await view.find("tag") == yarn.listed[0]
    assert await early is None


async def test_nothing_is_asked_while_nothing_is_watched(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_nothing_is_asked_once_all_has_ended(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.reports = {ID: KILLED}
    watch_fast(view, ID)
    await until(view, "KILLED")
    await asyncio.sleep(0.1)
    asked = yarn.lists
    await asyncio.sleep(0.2)
    assert yarn.lists == asked


async def test_it_hurries_only_while_something_starts_or_stops(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_fifty_starts_in_a_moment_do_not_flood_yarn(view: ApplicationReflector, yarn: Lists) -> None:
    began = time.monotonic()
    for number in range(50):
        watch_fast(view, f"application_1_{number:04}")
        await asyncio.sleep(0.002)
    # One for each interval, however long the fifty took on a busy machine.
    assert yarn.lists <= (time.monotonic() - began) / view._fast + 2


async def test_a_slow_resource_manager_is_asked_less_often(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed, yarn.delay = [RUNNING], 0.1
    watch_fast(view, ID)
    await asyncio.sleep(1.2)
    assert yarn.lists <= 4


async def test_a_list_that_waited_for_a_driver_to_start_delays_no_other(
    view: ApplicationReflector, yarn: Lists
) -> None:
    yarn.listed, yarn.delay = [replace(RUNNING, state="ACCEPTED")], 1.0
    watch_fast(view, ID)
    await until(view, "ACCEPTED")
    yarn.listed, yarn.delay = [RUNNING], 0.0
    await until(view, "RUNNING", within=1.5)


async def test_while_yarn_is_away_it_is_asked_less_often(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.unavailable = "Connection refused"
    watch_fast(view, ID)
    await asyncio.sleep(1)
    assert yarn.lists <= 8


async def test_a_close_watch_ends_with_its_context_and_leaves_nothing(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_after_a_close_watch_what_is_owned_is_watched_slowly(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_an_end_is_still_awaited_when_its_spawner_has_forgotten_it(
    view: ApplicationReflector, yarn: Lists
) -> None:
    yarn.listed, yarn.reports = [RUNNING], {ID: KILLED}
    view.watch(ID)
    with view.watch_closely(ID):
        await until(view, "RUNNING")
        view.unwatch(ID)
        yarn.listed = []
        assert await view.ended(ID, timeout=1)


async def test_who_watches_is_told_of_the_end_once(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_waiting_for_an_end_says_when_there_was_none(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed = [RUNNING]
    with view.watch_closely(ID):
        assert not await view.ended(ID, timeout=0.1)


async def test_waiting_for_what_is_not_watched_asks_seldom(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.reports = {ID: RUNNING}
    assert not await view.ended(ID, timeout=0.5)
    yarn.unavailable = "Connection refused"
    assert not await view.ended(ID, timeout=0.5)
    assert yarn.single <= 8


async def test_waiting_ends_after_its_time_with_what_is_known(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.listed = [RUNNING]
    view.watch(ID)
    status = await view.status(ID)
    began = time.monotonic()
    assert await view.wait_change(ID, status, 0.1) == status
    assert 0.05 < time.monotonic() - began < 1


async def test_what_is_not_watched_is_asked_for_once(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_an_application_is_found_by_its_tag_and_user(view: ApplicationReflector, yarn: Lists) -> None:
    early, late = (datetime(2026, 11, day, tzinfo=timezone.utc) for day in (1, 2))
    mine = replace(RUNNING, id="application_1_0001", tags=frozenset({"hub:alice"}), started=early)
    forged = replace(RUNNING, id="application_1_0002", tags=frozenset({"hub:alice"}), started=late, user="mallory")
    yarn.listed = [forged, mine]
    assert await view.find("Hub:Alice", user="alice") == mine
    assert await view.find("hub:alice") == forged
    assert await view.find("hub:bob") is None
    assert await view.tagged("hub:alice") == [forged, mine]


async def test_finding_raises_when_yarn_cannot_be_asked(view: ApplicationReflector, yarn: Lists) -> None:
    yarn.unavailable = "Connection refused"
    with pytest.raises(ClusterUnavailable):
        await view.find("hub:alice")


async def test_an_answer_that_nobody_expected_does_not_end_the_view(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> list[Report]:
        raise KeyError("no such thing")

    working, yarn.active = yarn.active, broken  # type: ignore[method-assign]
    watch_fast(view, ID)
    await asyncio.sleep(0.1)
    yarn.active, yarn.listed = working, [RUNNING]  # type: ignore[method-assign]
    await until(view, "RUNNING")
    assert "no such thing" in caplog.text


async def test_an_answer_that_cannot_be_read_is_an_outage(view: ApplicationReflector, yarn: Lists) -> None:
    """Callers get ClusterUnavailable, and what is watched is unknown for that reason."""

    async def broken() -> list[Report]:
        raise KeyError("no such thing")

    yarn.active = broken  # type: ignore[method-assign]
    view._entry(ID)
    with pytest.raises(ClusterUnavailable, match="no such thing"):
        await view.tagged("tag")
    status = await view.status(ID)
    assert (status.known, status.reason) == (False, "'no such thing'")


async def test_one_start_among_running_servers_is_seen_soon(view: ApplicationReflector, yarn: Lists) -> None:
    """One application that starts is enough for frequent lists."""
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


async def test_the_last_close_watcher_closes_the_door(view: ApplicationReflector, yarn: Lists) -> None:
    """An application stays in view until nobody watches it any more."""
    yarn.listed = [RUNNING]
    first, second = view.watch_closely(ID), view.watch_closely(ID)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert ID in view._watched
    second.__exit__(None, None, None)
    assert view._watched == {}


async def test_an_application_is_heard_of_once_yarn_has_answered_or_cannot(
    view: ApplicationReflector, yarn: Lists
) -> None:
    """A poll waits only for a first answer that may still come."""
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


async def test_a_doubt_is_taken_back_when_the_list_has_it(view: ApplicationReflector, yarn: Lists) -> None:
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


async def test_asking_one_by_one_stops_when_yarn_goes_away() -> None:
    """The other servers are not waited for, and all are unknown."""
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


async def test_a_report_that_fails_oddly_is_a_doubt(caplog: pytest.LogCaptureFixture) -> None:
    """A poll does not fail by it, which JupyterHub would take for an end; it is logged once."""
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


async def test_one_by_one_only_what_is_in_a_hurry_is_asked_for_often() -> None:
    """What merely runs is asked for once in the slow interval."""
    yarn = TooLarge()
    view = ApplicationReflector(yarn, fast=0.02, slow=600)  # type: ignore[arg-type]
    view.watch("application_1_0002")
    watch_fast(view, ID)
    await asyncio.sleep(0.3)
    assert yarn.asked.count("application_1_0002") == 1
    assert yarn.asked.count(ID) > 3
    await view.close()


async def test_one_by_one_each_is_asked_again_after_the_slow_interval() -> None:
    """What has ended is asked for no more, which delays no other."""
    yarn = TooLarge()
    view = ApplicationReflector(yarn, fast=0.02, slow=0.1)  # type: ignore[arg-type]
    view._entry("application_1_0001").report = KILLED
    view.watch("application_1_0002")
    await asyncio.sleep(0.5)
    assert yarn.asked.count("application_1_0002") > 1
    assert "application_1_0001" not in yarn.asked
    await view.close()


async def test_one_by_one_an_unknown_application_has_ended_at_the_second_time() -> None:
    """One answer that YARN does not know an application is not enough, as with lists."""
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


async def test_one_report_that_is_too_large_is_no_outage() -> None:
    """The other applications are asked for all the same."""
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


async def test_each_time_that_lists_become_too_large_is_logged(yarn: Lists, caplog: pytest.LogCaptureFixture) -> None:
    """A list in between ends the first time."""
    view = ApplicationReflector(TooLarge(), fast=600, slow=600)  # type: ignore[arg-type]
    for cluster in (TooLarge(), TooLarge(), yarn, TooLarge()):
        view._cluster = cluster  # type: ignore[assignment]
        try:
            await view.tagged("tag")
        except AnswerTooLarge:
            continue
    assert caplog.text.count("requested separately") == 2


async def test_an_unknown_application_has_ended_once_two_lists_lacked_it(
    view: ApplicationReflector, yarn: Lists
) -> None:
    """A list may be older than the application; two lists without it are not."""
    view._entry(ID)
    assert not (await view.status(ID)).ended
    assert await view.tagged("tag") == []
    assert not (await view.status(ID)).ended
    await view.refresh_one(ID)
    status = await view.status(ID)
    assert status.ended
    assert status.report is not None
    assert status.report.id == ID


async def test_the_latest_application_is_found(view: ApplicationReflector, yarn: Lists) -> None:
    """One that YARN has not started yet counts as the oldest; of two of a moment the later one counts."""
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


async def test_a_change_of_pace_counts_at_once(yarn: Lists) -> None:
    """A start is seen soon among servers that are listed rarely; saying the same again asks nothing."""
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


async def test_an_owner_that_left_is_told_nothing(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    """Who still waits for the end learns of it, without the hurry of the owner."""
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


async def test_an_owner_that_cannot_be_told_delays_no_other(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in what is called at an end is logged with its traceback, and the view goes on."""
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


async def test_who_waits_is_woken_when_yarn_goes_away(view: ApplicationReflector, yarn: Lists) -> None:
    """A spawner learns at once that nothing is known any more, and why."""
    yarn.listed = [RUNNING]
    view.watch(ID)
    status = await until(view, "RUNNING")
    waiting = asyncio.create_task(view.wait_change(ID, status, 600))
    await asyncio.sleep(0)
    yarn.unavailable = "Connection refused"
    assert not (await view.status("application_1_0009")).known
    status = await asyncio.wait_for(waiting, 5)
    assert (status.known, status.reason) == (False, "Connection refused")


async def test_an_outage_of_one_report_is_no_error(
    view: ApplicationReflector, yarn: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    """YARN may be away for a moment, so the hub's log has nothing of it."""
    view._entry(ID)
    yarn.unavailable = "Connection refused"
    await view.refresh_one(ID)
    assert not (await view.status(ID)).known
    assert [record.getMessage() for record in caplog.records if "What became" in record.getMessage()] == []


async def test_only_what_is_watched_and_has_not_ended_is_looked_at(view: ApplicationReflector, yarn: Lists) -> None:
    """An end is final."""
    await view.refresh_one(ID)
    yarn.reports = {ID: KILLED}
    view._entry(ID)
    await view.refresh_one(ID)
    assert (await view.status(ID)).ended
    await view.refresh_one(ID)
    assert yarn.single == 1


async def test_a_view_that_closes_leaves_no_task(yarn: Lists) -> None:
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


async def test_a_failed_list_that_nobody_awaits_is_not_logged(yarn: Lists) -> None:
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
