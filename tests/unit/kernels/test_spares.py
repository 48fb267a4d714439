"""Spare containers of a server, with an application master in memory."""

from __future__ import annotations

from typing import Any

import pytest

from yarnspawner.common.kernel_protocol import KERNEL_ID_VARIABLE, KernelKeys, KernelLaunch, KernelOffer, KernelSize
from yarnspawner.common.protocol import ProtocolError
from yarnspawner.common.spare_protocol import SPARE_VARIABLE, KernelAssignment, assignment_key, ready_key, spare_prefix
from yarnspawner.kernels import spares
from yarnspawner.kernels.containers import KernelContainers, KernelRefused
from yarnspawner.singleuser.store import ServiceContainer

SMALL = KernelSize("small", "python3", "", 400, 1, warm=1)
LARGE = KernelSize("large", "python3", "", 8192, 4, warm=2)
LAUNCH = KernelLaunch(["python"], {"TOKEN": "hidden"}, "", can_encrypt=True)
SECRET = b"s" * 32


class MemoryStore:
    """Has the methods of the store that spare containers need."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.states: dict[str, str] = {}
        self.environments: dict[str, dict[str, str]] = {}
        self.stuck: set[str] = set()

    def put(self, key: str, value: bytes, *, lasting: bool = False) -> None:
        self.values[key] = value
        for container in [one for one in self.states if assignment_key(one) == key]:
            if ready_key(container) in self.values and container not in self.stuck:
                self.assigned = KernelAssignment.from_bytes(value)
                self.discard_prefix(spare_prefix(container))

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def get_prefix(self, prefix: str) -> dict[str, bytes]:
        return {key: value for key, value in self.values.items() if key.startswith(prefix)}

    def discard_prefix(self, prefix: str) -> None:
        for key in self.get_prefix(prefix):
            del self.values[key]

    def add_container(self, service: str, env: dict[str, str]) -> str:
        name = f"{service}_{len(self.states)}"
        self.states[name] = "REQUESTED"
        self.environments[name] = env
        return name

    def kill_container(self, container_id: str) -> None:
        self.end(container_id, "KILLED")

    def containers(self, service: str | None = None, *, ended: bool = False) -> dict[str, ServiceContainer]:
        found = {name: ServiceContainer(name.rpartition("_")[0], state, "") for name, state in self.states.items()}
        return {name: one for name, one in found.items() if ended or one.active}

    def end(self, container_id: str, state: str) -> None:
        if self.states[container_id] in ("REQUESTED", "RUNNING"):
            self.states[container_id] = state
            self.values.pop(ready_key(container_id), None)

    def give(self, container_id: str) -> None:
        """Let a spare container become ready."""
        self.states[container_id] = "RUNNING"
        self.put(ready_key(container_id), b"1")

    @property
    def active(self) -> list[str]:
        return list(self.containers())

    @property
    def spare(self) -> list[str]:
        return [name for name in self.containers() if SPARE_VARIABLE in self.environments[name]]


class Server:
    """A server with its containers, whose clock the test moves."""

    def __init__(self, store: MemoryStore, containers: int = 0, memory: int = 0) -> None:
        self.store = store
        self.containers = KernelContainers(store, KernelOffer((SMALL, LARGE), containers, memory), SECRET)  # type: ignore[arg-type]
        self.spares = self.containers._spares

    async def start(self, size: KernelSize, kernel_id: str, *, again: bool = False) -> str:
        return await self.containers.add(size, kernel_id, LAUNCH, again=again)

    def look(self, later: float = 10) -> bool:
        return self.spares.look(spares.time.monotonic() + later)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(autouse=True)
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests look themselves."""
    monkeypatch.setattr(spares.SpareContainers, "_keep", lambda _: None)
    monkeypatch.setattr(spares, "_ACCEPTANCE", 0.05)


async def warmed(store: MemoryStore, **limits: int) -> tuple[Server, str]:
    """A server with one kernel and a ready spare container."""
    server = Server(store, **limits)
    await server.start(SMALL, "1")
    server.look()
    (spare,) = store.spare
    store.give(spare)
    return server, spare


async def test_first_kernel_brings_spares(store: MemoryStore) -> None:
    """The first kernel of a size brings spare containers, which are not requested before or during its start."""
    server = Server(store)
    server.look()
    assert not store.active
    await server.start(LARGE, "1")
    server.look(0)
    assert store.active == ["kernel-large_0"]
    server.look()
    server.look()
    assert store.spare == ["kernel-large_1", "kernel-large_2"]
    assert KERNEL_ID_VARIABLE not in store.environments["kernel-large_1"]


async def test_kernel_gets_spare(store: MemoryStore) -> None:
    """A kernel gets the spare container, with its launch encrypted by its own key, and the next is requested."""
    server, spare = await warmed(store)
    assert await server.start(SMALL, "2") == spare
    assert store.assigned.kernel_id == "2"
    assert KernelKeys(SECRET, "2").unseal(store.assigned.launch) == LAUNCH
    with pytest.raises(ProtocolError):
        KernelKeys(SECRET, "1").unseal(store.assigned.launch)
    assert "hidden" not in store.assigned.launch
    assert not store.values
    server.look()
    assert len(store.active) == 3


async def test_spare_is_assigned_once(store: MemoryStore) -> None:
    """Two kernels do not get the same spare container."""
    server, spare = await warmed(store)
    started = [await server.start(SMALL, kernel) for kernel in "23"]
    assert started == [spare, "kernel-small_2"]


async def test_starting_spare_is_used(store: MemoryStore) -> None:
    """A kernel gets a spare container that still starts, instead of a new request."""
    server = Server(store)
    await server.start(SMALL, "1")
    server.look()
    (spare,) = store.spare
    assert await server.start(SMALL, "2") == spare
    # It is no longer spare, and a cancelled start leaves nothing.
    assert not server.spares.find(store.containers())
    await server.containers.kill(spare)
    assert not store.values


async def test_stuck_spare_is_replaced(store: MemoryStore) -> None:
    """A spare container that does not accept a kernel is killed, and a new request replaces it."""
    server, spare = await warmed(store)
    store.stuck.add(spare)
    assert await server.start(SMALL, "2") == "kernel-small_2"
    assert store.states[spare] == "KILLED"
    assert not store.values


async def test_restarted_server_finds_spares(store: MemoryStore) -> None:
    """A restarted Jupyter server finds its spare containers in the store and does not stop them."""
    _, spare = await warmed(store)
    again = Server(store)
    assert list(await again.containers.active()) == ["kernel-small_0"]
    assert await again.start(SMALL, "2") == spare


@pytest.mark.parametrize("limits", [{"containers": 2}, {"memory": 400 + 8192}])
async def test_other_size_is_not_refused(store: MemoryStore, limits: dict[str, int]) -> None:
    """A kernel of another size replaces a spare container, which is not requested again while there is no room."""
    server, spare = await warmed(store, **limits)
    assert await server.start(LARGE, "2") == "kernel-large_2"
    assert store.states[spare] == "KILLED"
    server.look()
    assert not store.spare


async def test_refused_kernel_keeps_spare(store: MemoryStore) -> None:
    """A kernel that the memory limit refuses does not remove a spare container."""
    server, spare = await warmed(store, memory=1000)
    with pytest.raises(KernelRefused, match=r"needs 8 GB. Your kernels in containers use 0.4 GB of the 1 GB"):
        await server.start(LARGE, "2")
    assert store.spare == [spare]


async def test_spares_count_in_limits(store: MemoryStore) -> None:
    """Spare containers count in the limits of a server."""
    server = Server(store, containers=1)
    await server.start(SMALL, "1")
    server.look()
    assert not store.spare


async def test_a_full_queue_gets_them_back(store: MemoryStore) -> None:
    """If YARN has no container for a kernel, spare containers of another size are not to take its place."""
    server, spare = await warmed(store)
    assert await server.start(LARGE, "2", again=True) == "kernel-large_2"
    assert store.states[spare] == "KILLED"
    server.look(30)
    assert [name for name in store.spare if "small" in name] == []
    server.look(90)
    assert [name for name in store.spare if "small" in name] != []


async def test_lost_spare_is_replaced(store: MemoryStore) -> None:
    """A lost spare container is replaced after a pause, which grows with each loss."""
    server, spare = await warmed(store)
    store.end(spare, "FAILED")
    for lost, replaced in ((10, 75), (80, 200)):
        server.look(lost)
        assert not store.spare
        server.look(replaced)
        (spare,) = store.spare
        store.end(spare, "KILLED")
    server.look(210)
    server.look(400)
    assert not store.spare


async def test_pending_spare_is_withdrawn(store: MemoryStore) -> None:
    """A request for a spare container that YARN does not fulfil is withdrawn; a running container has more time."""
    server = Server(store)
    await server.start(SMALL, "1")
    server.look()
    (spare,) = store.spare
    server.look(60)
    assert store.spare == [spare]
    # A large environment may take longer to start.
    store.states[spare] = "RUNNING"
    server.look(80)
    assert store.spare == [spare]
    store.states[spare] = "REQUESTED"
    server.look(80)
    assert not store.spare
    assert not store.values


async def test_unused_spare_ends(store: MemoryStore) -> None:
    """A spare container ends without a further kernel and is requested again with the next kernel of its size."""
    server, spare = await warmed(store)
    store.end(spare, "SUCCEEDED")
    server.look(1900)
    assert not store.spare
    assert not server.spares._demands
    await server.start(SMALL, "2")
    server.look()
    assert store.spare


async def test_no_spares_by_default(store: MemoryStore) -> None:
    """Without the setting there are no spare containers and no requests about them to the application master."""
    size = KernelSize("small", "python3", "", 400, 1)
    containers = KernelContainers(store, KernelOffer((size,)), SECRET)  # type: ignore[arg-type]
    asked: list[Any] = []
    store.get_prefix, ask = lambda prefix: asked.append(prefix) or ask(prefix), store.get_prefix  # type: ignore[method-assign,func-returns-value]
    await containers.add(size, "1", LAUNCH)
    containers._spares.look(1e9)
    assert not store.spare
    assert not [prefix for prefix in asked if "spare" in prefix]


async def test_a_look_says_if_all_are_ready(store: MemoryStore) -> None:
    """Only then are later looks left out until something changes."""
    server = Server(store)
    assert server.look()
    await server.start(SMALL, "1")
    assert not server.look()
    (spare,) = store.spare
    assert not server.look()
    store.give(spare)
    assert server.look()
    store.end(spare, "FAILED")
    assert not server.look()
