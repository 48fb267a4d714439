"""Why the running application of a kernel waits for the kernel's container, as the ResourceManager's documents show."""

from __future__ import annotations

from yarnspawner.hadoop.scheduler import Resources
from yarnspawner.kernels.request import KernelRequest
from yarnspawner.skein_driver import Report
from yarnspawner.yarn.container_waits import ContainerWaits


class ApplicationWaits:
    """Reads these documents with the ticket of this process.

    Args:
        request: what was started.
        container_waits: shared by the kernels of this process.
    """

    def __init__(self, request: KernelRequest, container_waits: ContainerWaits) -> None:
        self._wanted = Resources(request.memory, request.vcores, request.gpus)
        self._container_waits = container_waits

    async def reason(self, report: Report | None) -> str:
        """Return a clause such as "because the queue is full"; "" if it is not known.

        Args:
            report: the application's last one. Before it runs, its report has the reason itself.
        """
        if report is None or report.state != "RUNNING":
            return ""
        return await self._container_waits.reason(self._wanted, report.queue, user=report.user)
