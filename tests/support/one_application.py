"""A cluster that runs one application, for tests of what a spawner makes of its answers."""

from __future__ import annotations

from yarnspawner.skein_driver import Report

ID = "application_1_0001"
RUNNING = Report(ID, user="alice", state="RUNNING", host="worker", rpc_port=4711)
KILLED = Report(ID, user="alice", state="KILLED", final_status="KILLED")


class OneApplication:
    """Answers at once, with what is so now."""

    def __init__(self) -> None:
        self.now = RUNNING

    def warm(self) -> None:
        """There is no driver to start."""

    async def close(self) -> None:
        """There is no driver to end."""

    async def active(self) -> list[Report]:
        return [self.now] if not self.now.ended else []

    async def report(self, application_id: str) -> Report:
        return self.now
