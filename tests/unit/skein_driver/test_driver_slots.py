"""When a driver is replaced, and the errors that callers get. Drivers are stand-ins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import grpc
import pytest

from yarnspawner.common.tasks import consume_exception
from yarnspawner.skein_driver import ClusterUnavailable, driver_slots
from yarnspawner.skein_driver.driver_slots import DriverLost, DriverSlot
from yarnspawner.skein_driver.rpc import DriverExited, Request, RpcError

LOG = logging.getLogger("test.slots")
PING = Request("ping", b"")


class Driver:
    """A driver that answers until a test makes it fail."""

    def __init__(self, number: int) -> None:
        self.pid = number
        self.alive = True
        self.healthy = True
        self.calls_in_flight = 0
        self.on_exit: Callable[[], None] | None = None
        self.code: grpc.StatusCode | None = None
        self.exited = False

    async def call(self, request: Request, timeout: float) -> bytes:
        assert timeout == 5
        if self.code:
            raise RpcError(self.code, "no queue of that name")
        return request.method.encode()

    async def is_responsive(self, timeout: float) -> bool:
        assert timeout == 10
        return self.healthy

    async def has_exited(self) -> bool:
        return self.exited

    def last_error(self) -> str:
        return "out of memory"

    async def close(self) -> None:
        self.alive = False

    def exit(self) -> None:
        """Exit by itself."""
        self.alive, self.exited = False, True
        assert self.on_exit is not None
        self.on_exit()


class Drivers:
    """Start drivers for a slot, or raise the next error."""

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
    """The clock that slots use."""
    clock = Clock()
    monkeypatch.setattr(driver_slots, "time", clock)
    return clock


@pytest.fixture
async def drivers() -> Drivers:
    return Drivers()


@pytest.fixture
async def slot(drivers: Drivers, clock: Clock) -> AsyncIterator[DriverSlot]:
    slot = DriverSlot(drivers.start, LOG, max_calls=3)  # type: ignore[arg-type]
    yield slot
    for driver in drivers.started:
        driver.calls_in_flight = 0
    await asyncio.wait_for(slot.close(), 5)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_callers_share_a_start(slot: DriverSlot, drivers: Drivers) -> None:
    """A cancelled caller does not cancel the start for the others."""
    drivers.gate.clear()
    waiting = [asyncio.create_task(slot.driver()) for _ in range(3)]
    await settled()
    waiting[0].cancel()
    drivers.gate.set()
    assert await waiting[1] is await waiting[2] is drivers.started[0]  # type: ignore[comparison-overlap]
    assert await slot.driver() is drivers.started[0]  # type: ignore[comparison-overlap]
    assert drivers.attempts == 1


async def test_ready(slot: DriverSlot, drivers: Drivers) -> None:
    """A slot is ready while its driver runs; the next caller gets a new driver."""
    assert slot.ready is False
    driver = await slot.driver()
    assert slot.ready is True
    await driver.close()
    assert slot.ready is False
    assert await slot.driver() is drivers.started[1]  # type: ignore[comparison-overlap]


async def test_warm(slot: DriverSlot, drivers: Drivers) -> None:
    """`warm` starts a driver if there is none, the slot is open and no back-off holds."""
    slot.warm()
    slot.warm()
    await settled()
    assert drivers.attempts == 1
    slot.warm()
    await settled()
    assert drivers.attempts == 1
    await drivers.started[0].close()
    slot.warm()
    await settled()
    assert drivers.attempts == 2
    await slot.close()
    slot.warm()
    await settled()
    assert drivers.attempts == 2


async def test_healthy_driver(slot: DriverSlot, drivers: Drivers, caplog: pytest.LogCaptureFixture) -> None:
    """An unresponsive driver is replaced before a long call, and the log says why."""
    caplog.set_level(logging.INFO)
    driver = await slot.healthy_driver()
    assert await slot.healthy_driver() is driver
    drivers.started[0].healthy = False
    assert await slot.healthy_driver() is drivers.started[1]  # type: ignore[comparison-overlap]
    assert drivers.started[0].alive is False
    assert "Replacing YARN driver 1: it does not respond within 10 s" in caplog.text


async def test_refusal_keeps_driver(slot: DriverSlot, drivers: Drivers) -> None:
    """YARN's refusal is raised, and the driver is kept."""
    driver = await slot.driver()
    assert await slot.call(driver, PING, 5) == b"ping"
    drivers.started[0].code = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(RpcError, match="no queue"):
        await slot.call(driver, PING, 5)
    assert await slot.driver() is driver


@pytest.mark.parametrize(
    ("code", "exited", "error", "message"),
    [
        ("DEADLINE_EXCEEDED", False, ClusterUnavailable, "No answer from YARN to ping within 5 s"),
        ("UNAVAILABLE", False, DriverLost, "The YARN driver was lost during ping"),
        ("CANCELLED", False, DriverLost, "The YARN driver was lost during ping"),
        ("UNAVAILABLE", True, DriverLost, "The YARN driver was lost during ping: out of memory"),
        ("CANCELLED", True, DriverLost, "The YARN driver was lost during ping: out of memory"),
        ("UNAUTHENTICATED", False, ClusterUnavailable, driver_slots._NO_TICKET),
    ],
)
async def test_failed_call_replaces_driver(
    slot: DriverSlot,
    drivers: Drivers,
    code: str,
    exited: bool,
    error: type[Exception],
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller and the log get the reason, and the next driver starts at once."""
    caplog.set_level(logging.INFO)
    driver = await slot.driver()
    drivers.started[0].code, drivers.started[0].exited = grpc.StatusCode[code], exited
    with pytest.raises(ClusterUnavailable) as raised:
        await slot.call(driver, PING, 5)
    assert type(raised.value) is error
    assert str(raised.value) == message
    reason = "The YARN driver exited: out of memory" if exited else message
    assert f"Replacing YARN driver 1: {reason}" in caplog.text
    await settled()
    assert drivers.attempts == 2
    assert await slot.driver() is drivers.started[1]  # type: ignore[comparison-overlap]
    assert drivers.started[0].alive is False


async def test_replaced_only_once(slot: DriverSlot, drivers: Drivers) -> None:
    """Events of an earlier driver do not affect its replacement."""
    first = await slot.driver()
    slot.mark_unresponsive(first, PING, 5)
    second = await slot.driver()
    slot.mark_unresponsive(first, PING, 5)
    for _ in range(3):
        slot.count_call(first)
    drivers.started[0].exit()
    await settled()
    assert await slot.driver() is second
    assert drivers.attempts == 2


async def test_call_limit(slot: DriverSlot, drivers: Drivers) -> None:
    """A driver at its call limit serves until its replacement is ready, and is then closed."""
    first = await slot.driver()
    slot.count_call(first)
    slot.count_call(first)
    await settled()
    assert drivers.attempts == 1
    drivers.gate.clear()
    slot.count_call(first)
    await settled()
    assert drivers.attempts == 2
    assert await slot.driver() is first
    slot.count_call(first)
    drivers.gate.set()
    await settled()
    second = await slot.driver()
    assert second is drivers.started[1]  # type: ignore[comparison-overlap]
    assert (first.alive, second.alive) == (False, True)
    slot.count_call(second)
    slot.count_call(second)
    await settled()
    assert drivers.attempts == 2


async def test_call_limit_during_back_off(slot: DriverSlot, drivers: Drivers, clock: Clock) -> None:
    """During a back-off, a driver at its call limit is kept."""
    first = await slot.driver()
    slot._not_before = clock.now + 10
    for _ in range(4):
        slot.count_call(first)
    await settled()
    assert (drivers.attempts, slot.ready) == (1, True)
    clock.now += 10
    slot.count_call(first)
    await settled()
    assert drivers.attempts == 2


async def test_retired_driver_finishes_calls(slot: DriverSlot) -> None:
    """A replaced driver is closed after its last call."""
    driver = await slot.driver()
    driver.calls_in_flight = 1
    slot.mark_unresponsive(driver, PING, 5)
    await asyncio.sleep(0.3)
    assert driver.alive is True
    driver.calls_in_flight = 0
    await asyncio.sleep(0.3)
    assert driver.alive is False
    await settled()
    assert not slot._closing


async def test_one_retired_driver(slot: DriverSlot, drivers: Drivers, clock: Clock) -> None:
    """Hung drivers do not accumulate on the hub's machine."""
    for _ in range(2):
        driver = await slot.driver()
        driver.calls_in_flight = 1
        slot.mark_unresponsive(driver, PING, 5)
        clock.now += 60
    await asyncio.sleep(0.3)
    assert [driver.alive for driver in drivers.started] == [False, True]


async def test_exited_driver_is_replaced(slot: DriverSlot, drivers: Drivers, caplog: pytest.LogCaptureFixture) -> None:
    """The next driver starts at once, before it is needed, and the log has the last error."""
    caplog.set_level(logging.INFO)
    await slot.driver()
    drivers.started[0].exit()
    await settled()
    assert (slot.ready, drivers.attempts) == (True, 2)
    assert "The YARN driver exited: out of memory" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ClusterUnavailable("There is no java"), "There is no java"),
        (OSError("no memory"), "The YARN driver did not start: OSError('no memory')"),
        (DriverExited("The YARN driver exited", "its log"), "The YARN driver exited"),
    ],
)
async def test_failed_start_is_retried(
    slot: DriverSlot, drivers: Drivers, clock: Clock, error: Exception, reason: str
) -> None:
    """The second attempt follows at once, later ones after a pause with the same reason."""
    drivers.errors = [error] * 3
    for attempts in (1, 2, 2):
        with pytest.raises(ClusterUnavailable) as raised:
            await slot.driver()
        assert str(raised.value) == reason
        assert drivers.attempts == attempts
    slot.warm()
    await settled()
    assert drivers.attempts == 2
    clock.now += 2
    slot.warm()
    await settled()
    assert drivers.attempts == 3
    clock.now += 4
    assert await slot.driver() is drivers.started[0]  # type: ignore[comparison-overlap]


async def test_back_off(slot: DriverSlot, drivers: Drivers, clock: Clock) -> None:
    """Drivers that hang are replaced with a back-off of up to 30 seconds, until one serves a call."""
    pauses = []
    for _ in range(8):
        slot.mark_unresponsive(await slot.driver(), PING, 5)
        await settled()
        pauses.append(slot._not_before - clock.now)
        if pauses[-1]:
            with pytest.raises(ClusterUnavailable, match="No answer from YARN to ping within 5 s"):
                await slot.driver()
        clock.now = max(clock.now, slot._not_before)
    assert pauses[0] == 0
    assert 1.8 <= pauses[1] <= 2
    assert 27 <= pauses[-1] <= 30
    await slot.call(await slot.driver(), PING, 5)
    slot.mark_unresponsive(await slot.driver(), PING, 5)
    await settled()
    assert slot.ready


async def test_close_stops_all_drivers(slot: DriverSlot, drivers: Drivers) -> None:
    """Neither a call nor a start delays the close, and no driver starts after it."""
    first = await slot.driver()
    first.calls_in_flight = 1
    slot.mark_unresponsive(first, PING, 5)
    second = await slot.driver()
    second.calls_in_flight = 1
    drivers.gate.clear()
    for _ in range(3):
        slot.count_call(second)
    await settled()
    await asyncio.wait_for(slot.close(), 5)
    assert (first.alive, second.alive, len(drivers.started)) == (False, False, 2)
    drivers.gate.set()
    with pytest.raises(ClusterUnavailable, match="shutting down"):
        await slot.driver()
    assert drivers.attempts == 3


async def test_failed_starts_are_logged_once(
    slot: DriverSlot, drivers: Drivers, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure and the recovery are logged."""
    drivers.errors = [ClusterUnavailable("no KDC")] * 3
    for _ in range(3):
        with pytest.raises(ClusterUnavailable):
            await slot.driver()
        clock.now += 60
    await slot.driver()
    said = [record.getMessage().split(", after")[0] for record in caplog.records if record.levelno == logging.ERROR]
    assert said == ["No driver for YARN: no KDC", "A driver for YARN was started"]
    assert not any(record.exc_info for record in caplog.records)


async def test_driver_log_is_shown_once(
    slot: DriverSlot, drivers: Drivers, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the first exited driver's log is shown, until a driver has started."""
    drivers.errors = [DriverExited("The YARN driver exited", "the whole trace")] * 2
    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            await slot.driver()
        clock.now += 60
    assert caplog.text.count("the whole trace") == 1
    await (await slot.driver()).close()
    drivers.errors = [DriverExited("The YARN driver exited", "the whole trace")]
    with pytest.raises(ClusterUnavailable):
        await slot.driver()
    assert caplog.text.count("the whole trace") == 2


async def test_third_exit_is_no_outage(slot: DriverSlot, drivers: Drivers, clock: Clock) -> None:
    """After three exits in a row, callers get the first error and the number of exits."""
    drivers.errors = [DriverExited(f"error {number}") for number in range(4)]
    reasons = []
    for _ in range(4):
        with pytest.raises(ClusterUnavailable) as raised:
            await slot.driver()
        reasons.append(str(raised.value))
        clock.now += 60
    repeated = "error 0 ({} drivers in a row exited)"
    assert reasons == ["error 0", "error 1", repeated.format(3), repeated.format(4)]
    await slot.call(await slot.driver(), PING, 5)
    for number in range(2):
        drivers.started[number].exit()
        assert slot._reason == "The YARN driver exited: out of memory"
        await settled()


async def test_consume_exception() -> None:
    """The exception of a failed or cancelled task is not reported as unretrieved."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        raise OSError

    for cancelled in (False, True):
        task = asyncio.create_task(fail())
        task.add_done_callback(consume_exception)
        if cancelled:
            task.cancel()
        await settled()
        del task
    assert not reported
