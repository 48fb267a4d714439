"""When a driver is replaced, and what its callers are told. Drivers are stand-ins that do what a test says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import grpc
import pytest

from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.skein_driver import driver_slots as seats
from yarnspawner.skein_driver.driver_slots import DriverLost, DriverSlot
from yarnspawner.skein_driver.rpc import DriverEnded, Request, RpcError

LOG = logging.getLogger("test.seats")
PING = Request("ping", b"")


class Driver:
    """A driver that answers, until a test has it fail."""

    def __init__(self, number: int) -> None:
        self.pid = number
        self.alive = True
        self.sound = True
        self.calls_in_flight = 0
        self.on_exit: Callable[[], None] | None = None
        self.code: grpc.StatusCode | None = None
        self.ended = False

    async def call(self, request: Request, timeout: float) -> bytes:
        assert timeout == 5
        if self.code:
            raise RpcError(self.code, "no queue of that name")
        return request.method.encode()

    async def answers(self, timeout: float) -> bool:
        assert timeout == 10
        return self.sound

    async def has_ended(self) -> bool:
        return self.ended

    def last_words(self) -> str:
        return "out of memory"

    async def close(self) -> None:
        self.alive = False

    def exit(self) -> None:
        """End by itself."""
        self.alive, self.ended = False, True
        assert self.on_exit is not None
        self.on_exit()


class Drivers:
    """Starts drivers for a seat, or raises the next of its errors."""

    def __init__(self) -> None:
        self.started: list[Driver] = []
        self.errors: list[Exception] = []
        self.attempts = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> Driver:
        self.attempts += 1
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.started.append(Driver(len(self.started) + 1))
        return self.started[-1]


class Clock(SimpleNamespace):
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that seats see."""
    clock = Clock()
    monkeypatch.setattr(seats, "time", clock)
    return clock


@pytest.fixture
async def drivers() -> Drivers:
    return Drivers()


@pytest.fixture
async def seat(drivers: Drivers, clock: Clock) -> AsyncIterator[DriverSlot]:
    seat = DriverSlot(drivers.start, LOG, worn_out_after=3)  # type: ignore[arg-type]
    yield seat
    for driver in drivers.started:
        driver.calls_in_flight = 0
    await asyncio.wait_for(seat.close(), 5)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_all_who_wait_for_a_driver_share_its_start(seat: DriverSlot, drivers: Drivers) -> None:
    """A caller that is cancelled while it waits takes the driver from no other."""
    drivers.gate.clear()
    waiting = [asyncio.create_task(seat.driver()) for _ in range(3)]
    await settled()
    waiting[0].cancel()
    drivers.gate.set()
    assert await waiting[1] is await waiting[2] is drivers.started[0]  # type: ignore[comparison-overlap]
    assert await seat.driver() is drivers.started[0]  # type: ignore[comparison-overlap]
    assert drivers.attempts == 1


async def test_a_seat_is_ready_while_its_driver_runs(seat: DriverSlot, drivers: Drivers) -> None:
    """A seat without a driver, or with one that has died, is not ready; the next caller gets another driver."""
    assert seat.ready is False
    driver = await seat.driver()
    assert seat.ready is True
    await driver.close()
    assert seat.ready is False
    assert await seat.driver() is drivers.started[1]  # type: ignore[comparison-overlap]


async def test_warming_starts_one_driver_without_waiting(seat: DriverSlot, drivers: Drivers) -> None:
    """A seat starts no driver if it has one, or during a pause; a closed one starts none either."""
    seat.warm()
    seat.warm()
    await settled()
    assert drivers.attempts == 1
    seat.warm()
    await settled()
    assert drivers.attempts == 1
    await drivers.started[0].close()
    seat.warm()
    await settled()
    assert drivers.attempts == 2
    await seat.close()
    seat.warm()
    await settled()
    assert drivers.attempts == 2


async def test_a_driver_that_hangs_is_replaced_before_a_long_call(
    seat: DriverSlot, drivers: Drivers, caplog: pytest.LogCaptureFixture
) -> None:
    """A submission goes to a driver that answers, and the log says why another one was started."""
    caplog.set_level(logging.INFO)
    driver = await seat.healthy_driver()
    assert await seat.healthy_driver() is driver
    drivers.started[0].sound = False
    assert await seat.healthy_driver() is drivers.started[1]  # type: ignore[comparison-overlap]
    assert drivers.started[0].alive is False
    assert "driver 1 is replaced: it does not answer within 10 s" in caplog.text


async def test_a_driver_that_answers_is_kept(seat: DriverSlot, drivers: Drivers) -> None:
    """YARN's refusal is passed on and costs no driver."""
    driver = await seat.driver()
    assert await seat.call(driver, PING, 5) == b"ping"
    drivers.started[0].code = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(RpcError, match="no queue"):
        await seat.call(driver, PING, 5)
    assert await seat.driver() is driver


@pytest.mark.parametrize(
    ("code", "ended", "error", "message"),
    [
        ("DEADLINE_EXCEEDED", False, ClusterUnavailable, "No answer from YARN to ping within 5 s"),
        ("UNAVAILABLE", False, DriverLost, "The YARN driver was lost during ping"),
        ("CANCELLED", False, DriverLost, "The YARN driver was lost during ping"),
        ("UNAVAILABLE", True, DriverLost, "The YARN driver was lost during ping: out of memory"),
        ("CANCELLED", True, DriverLost, "The YARN driver was lost during ping: out of memory"),
        ("UNAUTHENTICATED", False, ClusterUnavailable, seats._NO_TICKET),
    ],
)
async def test_a_driver_that_fails_a_call_is_replaced(
    seat: DriverSlot,
    drivers: Drivers,
    code: str,
    ended: bool,
    error: type[Exception],
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller and the log learn why the call failed, and the next driver is started at once."""
    caplog.set_level(logging.INFO)
    driver = await seat.driver()
    drivers.started[0].code, drivers.started[0].ended = grpc.StatusCode[code], ended
    with pytest.raises(ClusterUnavailable) as raised:
        await seat.call(driver, PING, 5)
    assert type(raised.value) is error
    assert str(raised.value) == message
    reason = "The YARN driver left: out of memory" if ended else message
    assert f"driver 1 is replaced: {reason}" in caplog.text
    await settled()
    assert drivers.attempts == 2
    assert await seat.driver() is drivers.started[1]  # type: ignore[comparison-overlap]
    assert drivers.started[0].alive is False


async def test_a_late_call_of_an_earlier_driver_replaces_nothing(seat: DriverSlot, drivers: Drivers) -> None:
    """Only the driver that did not answer is replaced, once."""
    first = await seat.driver()
    seat.overdue(first, PING, 5)
    second = await seat.driver()
    seat.overdue(first, PING, 5)
    for _ in range(3):
        seat.use_count(first)
    drivers.started[0].exit()
    await settled()
    assert await seat.driver() is second
    assert drivers.attempts == 2


async def test_a_worn_out_driver_works_until_the_next_is_ready(seat: DriverSlot, drivers: Drivers) -> None:
    """The next driver starts after the last of so many calls, is not worn itself, and then the first is closed."""
    first = await seat.driver()
    seat.use_count(first)
    seat.use_count(first)
    await settled()
    assert drivers.attempts == 1
    drivers.gate.clear()
    seat.use_count(first)
    await settled()
    assert drivers.attempts == 2
    assert await seat.driver() is first
    seat.use_count(first)
    drivers.gate.set()
    await settled()
    second = await seat.driver()
    assert second is drivers.started[1]  # type: ignore[comparison-overlap]
    assert (first.alive, second.alive) == (False, True)
    seat.use_count(second)
    seat.use_count(second)
    await settled()
    assert drivers.attempts == 2


async def test_a_worn_out_driver_is_kept_while_no_other_may_be_started(
    seat: DriverSlot, drivers: Drivers, clock: Clock
) -> None:
    """After failed starts, a worn-out driver is replaced once their pause is over."""
    first = await seat.driver()
    seat._not_before = clock.now + 10
    for _ in range(4):
        seat.use_count(first)
    await settled()
    assert (drivers.attempts, seat.ready) == (1, True)
    clock.now += 10
    seat.use_count(first)
    await settled()
    assert drivers.attempts == 2


async def test_a_replaced_driver_may_finish_its_calls(seat: DriverSlot) -> None:
    """A replaced driver is closed after its last call."""
    driver = await seat.driver()
    driver.calls_in_flight = 1
    seat.overdue(driver, PING, 5)
    await asyncio.sleep(0.3)
    assert driver.alive is True
    driver.calls_in_flight = 0
    await asyncio.sleep(0.3)
    assert driver.alive is False
    await settled()
    assert not seat._closing


async def test_only_one_replaced_driver_is_kept(seat: DriverSlot, drivers: Drivers, clock: Clock) -> None:
    """Drivers that hang do not pile up on the hub's machine."""
    for _ in range(2):
        driver = await seat.driver()
        driver.calls_in_flight = 1
        seat.overdue(driver, PING, 5)
        clock.now += 60
    await asyncio.sleep(0.3)
    assert [driver.alive for driver in drivers.started] == [False, True]


async def test_a_driver_that_ends_by_itself_is_followed_at_once(
    seat: DriverSlot, drivers: Drivers, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for the start of the next driver, and the log has the last words of the first."""
    caplog.set_level(logging.INFO)
    await seat.driver()
    drivers.started[0].exit()
    await settled()
    assert (seat.ready, drivers.attempts) == (True, 2)
    assert "The YARN driver left: out of memory" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ClusterUnavailable("There is no java"), "There is no java"),
        (OSError("no memory"), "The YARN driver did not start: OSError('no memory')"),
        (DriverEnded("The YARN driver left", "its log"), "The YARN driver left"),
    ],
)
async def test_a_start_that_fails_is_tried_again_after_a_pause(
    seat: DriverSlot, drivers: Drivers, clock: Clock, error: Exception, reason: str
) -> None:
    """The first failure is followed by an attempt at once, later ones by a pause in which callers get the reason."""
    drivers.errors = [error] * 3
    for attempts in (1, 2, 2):
        with pytest.raises(ClusterUnavailable) as raised:
            await seat.driver()
        assert str(raised.value) == reason
        assert drivers.attempts == attempts
    seat.warm()
    await settled()
    assert drivers.attempts == 2
    clock.now += 2
    seat.warm()
    await settled()
    assert drivers.attempts == 3
    clock.now += 4
    assert await seat.driver() is drivers.started[0]  # type: ignore[comparison-overlap]


async def test_the_pauses_grow_until_a_driver_has_served_a_call(
    seat: DriverSlot, drivers: Drivers, clock: Clock
) -> None:
    """Drivers that start but hang are started ever more rarely, down to one in 30 seconds."""
    pauses = []
    for _ in range(8):
        seat.overdue(await seat.driver(), PING, 5)
        await settled()
        pauses.append(seat._not_before - clock.now)
        if pauses[-1]:
            with pytest.raises(ClusterUnavailable, match="No answer from YARN to ping within 5 s"):
                await seat.driver()
        clock.now = max(clock.now, seat._not_before)
    assert pauses[0] == 0
    assert 1.8 <= pauses[1] <= 2
    assert 27 <= pauses[-1] <= 30
    await seat.call(await seat.driver(), PING, 5)
    seat.overdue(await seat.driver(), PING, 5)
    await settled()
    assert seat.ready


async def test_a_seat_that_is_closed_ends_all_of_its_drivers(seat: DriverSlot, drivers: Drivers) -> None:
    """Neither a call in flight nor a start delays the hub's end, and no driver is started after it."""
    first = await seat.driver()
    first.calls_in_flight = 1
    seat.overdue(first, PING, 5)
    second = await seat.driver()
    second.calls_in_flight = 1
    drivers.gate.clear()
    for _ in range(3):
        seat.use_count(second)
    await settled()
    await asyncio.wait_for(seat.close(), 5)
    assert (first.alive, second.alive, len(drivers.started)) == (False, False, 2)
    drivers.gate.set()
    with pytest.raises(ClusterUnavailable, match="shutting down"):
        await seat.driver()
    assert drivers.attempts == 3


async def test_starts_that_fail_are_one_error_in_the_log(
    seat: DriverSlot, drivers: Drivers, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure and the recovery are logged."""
    drivers.errors = [ClusterUnavailable("no KDC")] * 3
    for _ in range(3):
        with pytest.raises(ClusterUnavailable):
            await seat.driver()
        clock.now += 60
    await seat.driver()
    said = [record.getMessage().split(", after")[0] for record in caplog.records if record.levelno == logging.ERROR]
    assert said == ["No driver for YARN: no KDC", "A driver for YARN was started"]
    assert not any(record.exc_info for record in caplog.records)


async def test_the_log_of_a_driver_that_ends_is_shown_once(
    seat: DriverSlot, drivers: Drivers, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of the first driver that ended is enough, until one has started."""
    drivers.errors = [DriverEnded("The YARN driver left", "the whole trace")] * 2
    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            await seat.driver()
        clock.now += 60
    assert caplog.text.count("the whole trace") == 1
    await (await seat.driver()).close()
    drivers.errors = [DriverEnded("The YARN driver left", "the whole trace")]
    with pytest.raises(ClusterUnavailable):
        await seat.driver()
    assert caplog.text.count("the whole trace") == 2


async def test_a_third_driver_that_ends_is_no_outage(seat: DriverSlot, drivers: Drivers, clock: Clock) -> None:
    """Callers get the error of the first driver and the number, until a driver has served a call."""
    drivers.errors = [DriverEnded(f"error {number}") for number in range(4)]
    reasons = []
    for _ in range(4):
        with pytest.raises(ClusterUnavailable) as raised:
            await seat.driver()
        reasons.append(str(raised.value))
        clock.now += 60
    ended = "error 0 ({} drivers in a row ended by themselves)"
    assert reasons == ["error 0", "error 1", ended.format(3), ended.format(4)]
    await seat.call(await seat.driver(), PING, 5)
    for number in range(2):
        drivers.started[number].exit()
        assert seat._reason == "The YARN driver left: out of memory"
        await settled()


async def test_a_failure_is_noted_only_if_there_was_one() -> None:
    """A task that was cancelled has no failure, and one that failed is not reported as forgotten."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        raise OSError

    for cancelled in (False, True):
        task = asyncio.create_task(fail())
        task.add_done_callback(seats.seen)
        if cancelled:
            task.cancel()
        await settled()
        del task
    assert not reported
