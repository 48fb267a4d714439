"""The example configuration, for a hub that meets with a fault at an exact moment.

A test writes what is to happen, and when, into the file ``fault`` of the hub's folder (`tests.support.fault_injection.arrange`).
The hub removes it first, so that the next run of the hub lives. The product knows nothing of this: its methods are wrapped
from here.
"""

import asyncio
import os
import signal
from pathlib import Path

from yarnspawner.launch.readiness import ReadinessWaiter
from yarnspawner.launch.stopper import Stopper
from yarnspawner.skein_driver import Cluster
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.state.record import ServerRecord

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"  # also where the package is not installed
c.YarnSpawner.mem_limit = "384 M"
c.YarnSpawner.profile_list = []
c.JupyterHub.named_server_limit_per_user = 0

state = Path(os.environ["YARNSPAWNER_STATE"])
flag = state / "fault"

if timeout := os.environ.get("FAULTS_START_TIMEOUT"):
    c.YarnSpawner.start_timeout = int(timeout)
if prologue := os.environ.get("FAULTS_PROLOGUE"):
    c.YarnSpawner.prologue = f"{c.YarnSpawner.prologue}\n{prologue}"
if seconds := os.environ.get("FAULTS_SUBMISSION_TIMEOUT"):
    # Two minutes by default, which a test need not wait.
    Cluster.__init__.__kwdefaults__["submission_timeout"] = float(seconds)


def happens(point, driver=0):
    """What was arranged for this moment, if anything."""
    try:
        action, arranged = flag.read_text().split(" ", 1)
    except OSError:
        return
    if arranged != point:
        return
    flag.unlink()
    match action:
        case "kill-hub":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-driver":
            os.kill(driver, signal.SIGKILL)
        case "hang-driver":
            os.kill(driver, signal.SIGSTOP)
            (state / "hung").write_text(str(driver))


def before(owner, name, point):
    """Let it happen before a method does anything; `point` says which moment a call of it is."""
    method = getattr(owner, name)

    def wrapped(self, *arguments, **options):
        if moment := point(self, *arguments):
            happens(moment)
        return method(self, *arguments, **options)

    setattr(owner, name, wrapped)


def after(owner, name, moment):
    """Let it happen when a coroutine method has done all and returned nothing yet."""
    method = getattr(owner, name)

    async def wrapped(self, *arguments, **options):
        result = await method(self, *arguments, **options)
        happens(moment)
        return result

    setattr(owner, name, wrapped)


def seen(arrival, status):
    return "accepted" if status.report is not None and status.report.state == "ACCEPTED" else ""


before(Cluster, "submit", lambda *_: "before submission")
after(Cluster, "submit", "submitted")
before(ReadinessWaiter, "_tell", seen)
before(ReadinessWaiter, "_read_address", lambda *_: "running")
before(ServerRecord, "update", lambda _, server: "address known" if server.url else "")
before(Stopper, "_terminate", lambda *_: "ending")
before(Stopper, "_ask_to_stop", lambda *_: "stopping")
after(Stopper, "_ask_to_stop", "asked to stop")

call = Driver.call


async def submitting(self, request, timeout):
    answer = asyncio.ensure_future(call(self, request, timeout))
    if request.method == "submit":
        await asyncio.sleep(0.2)  # it is on its way
        happens("submission", self.pid)
    return await answer


Driver.call = submitting
