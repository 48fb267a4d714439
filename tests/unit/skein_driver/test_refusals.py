"""Which refusal of the driver's log belongs to which call."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from yarnspawner.skein_driver.refusals import Refusals
from yarnspawner.skein_driver.rpc import RpcError

OLD = "DEBUG PrivilegedActionException as:{} (auth:PROXY) via hub (auth:SIMPLE) cause:x.YarnException: {}"
NEW = "DEBUG PrivilegedActionException as: {} (auth:PROXY) via hub (auth:SIMPLE)\nx.YarnException: {}\nat x.Y(Z.java:1)"


class Driver:
    """Refuses each call after a moment, as Hadoop does in one of its versions."""

    def __init__(self, form: str) -> None:
        self.refusals = Refusals()
        self.calls: list[str] = []
        self.accepting: set[str] = set()
        self._form = form

    async def call(self, user: str, name: str) -> str:
        async def call() -> bytes:
            self.calls.append(name)
            await asyncio.sleep(0.05)
            if name in self.accepting:
                return b"accepted"
            asyncio.get_running_loop().call_later(0.02, self._log, user, f"no {name}")
            raise RpcError(grpc.StatusCode.INTERNAL, "Failed to submit application, exception:\nnull")

        try:
            return (await self.refusals.explained(user, call)).decode()
        except RpcError as failure:
            return failure.details

    def _log(self, user: str, reason: str) -> None:
        for line in self._form.format(user, reason).splitlines():
            self.refusals.collect(line)


@pytest.fixture(params=[OLD, NEW], ids=["Hadoop 3.1", "later"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return Driver(request.param)


async def test_refusal(driver: Driver) -> None:
    """Each refused call gets its own reason from the log."""
    assert await driver.call("alice", "queue") == "x.YarnException: no queue"
    assert await driver.call("alice", "label") == "x.YarnException: no label"
    assert driver.calls == ["queue", "label"]


async def test_refusals_of_several_users(driver: Driver) -> None:
    """The name in the log tells them apart."""
    found = await asyncio.gather(*(driver.call(user, f"room for {user}") for user in ("alice", "bob", "carl")))
    assert found == [f"x.YarnException: no room for {user}" for user in ("alice", "bob", "carl")]
    assert len(driver.calls) == 3


async def test_refusals_of_one_user_at_a_time(driver: Driver) -> None:
    """Each gets its own reason, because the calls are repeated one after another."""
    names = ["queue", "label", "memory", "node"]
    assert await asyncio.gather(*(driver.call("alice", name) for name in names)) == [
        f"x.YarnException: no {name}" for name in names
    ]
    assert len(driver.calls) == 8


async def test_a_repeated_call_is_accepted(driver: Driver) -> None:
    """YARN may accept a call when it is repeated."""
    calls = asyncio.gather(driver.call("alice", "queue"), driver.call("alice", "label"))
    while len(driver.calls) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.06)
    driver.accepting.add("label")
    assert await calls == ["x.YarnException: no queue", "accepted"]


async def test_other_calls_all_the_time(driver: Driver) -> None:
    """Rather no reason than another call's."""
    driver.accepting.add("other")

    async def others() -> None:
        while True:
            await driver.call("alice", "other")

    busy = [asyncio.create_task(others()) for _ in range(3)]
    await asyncio.sleep(0)
    assert (await driver.call("alice", "queue")).endswith("null")
    for task in busy:
        task.cancel()


async def test_the_hubs_own_call(driver: Driver) -> None:
    """Its answer has the reason already."""
    assert (await driver.call("", "queue")).endswith("null")
