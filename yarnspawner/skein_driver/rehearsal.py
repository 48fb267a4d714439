"""A submission that fails, after which a driver is quicker."""

from __future__ import annotations

import skein

from yarnspawner.skein_driver.drivers import Driver, in_thread
from yarnspawner.skein_driver.rpc import Request

# Nothing can exist below a device.
_NO_FILE = "file:///dev/null/none"


async def rehearse(driver: Driver, timeout: float) -> None:
    """Let a driver try one submission, if it has tried none: JupyterHub warms the drivers for each user's spawner.

    Args:
        driver: a driver for submissions.
        timeout: seconds.

    Raises:
        RpcError: as expected.
    """
    if not driver.rehearsed:
        driver.rehearsed = True
        await driver.call(Request("submit", await in_thread(rehearsal)), timeout)


def rehearsal() -> bytes:
    """Return the specification of an application that no driver can submit, because it lacks a file.

    A driver's first submission takes a second longer than the others, since Java loads its classes. Most of them are loaded
    before the driver looks for the file. The ResourceManager gets no application. In HDFS, nothing remains but the folder
    ``.skein`` in the home of the driver's user.
    """
    master = skein.Master(
        script="true",
        files={"none": skein.File(_NO_FILE, type="file")},
        security=skein.Security.new_credentials(),  # without them, the driver would send its own to HDFS
    )
    message: bytes = skein.ApplicationSpec(name="rehearsal", master=master).to_protobuf().SerializeToString()
    return message
