"""`scripts/demo`: a hub on a Hadoop of its own, until it is stopped."""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from demo.check import USER, check
from demo.hub import ADMIN, Hub, HubError
from demo.terminal import Terminal
from demo.visitor import VisitError, Visitor
from localhadoop import LocalHadoop, LocalHadoopError

# Of kernels that JupyterLab's launcher offers in containers of their own.
KERNEL_SIZES = "512M 768M 1G"

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    options = parse()
    for number in SIGNALS:
        signal.signal(number, interrupt)
    folder = Path(tempfile.mkdtemp(prefix="yarnspawner-demo-"))
    try:
        run(options, folder)
    except KeyboardInterrupt:
        pass
    except (LocalHadoopError, HubError, VisitError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        if (folder / "jupyterhub.log").exists():
            print(f"demo: the hub's log is kept in {folder}", file=sys.stderr)
            return 1
        shutil.rmtree(folder)
        return 1
    shutil.rmtree(folder)
    return 0


def run(options: argparse.Namespace, folder: Path) -> None:
    """Bring all up, check it or wait, and take all down again, however this ends."""
    terminal = Terminal()
    with ExitStack() as stack:
        stack.callback(ignore_interrupts)
        cluster = LocalHadoop(
            kerberos=options.kerberos,
            nodes=options.nodes,
            hadoop=options.hadoop,
            strict=options.strict,
            progress=terminal,
        )
        stack.enter_context(cluster)
        hub = Hub(cluster, folder, port=options.port, settings={"YARNSPAWNER_KERNEL_SIZES": KERNEL_SIZES})
        stack.callback(hub.stop)
        with terminal.timed("Starting JupyterHub"):
            hub.start()
        stack.callback(terminal.step, "Stopping")
        if options.check:
            account = USER if cluster.kerberos else pwd.getpwuid(os.getuid()).pw_name
            check(Visitor(hub.address, USER, hub.password), cluster, account, terminal)
        else:
            tell(hub, cluster, options.port)
            stay(hub)


def tell(hub: Hub, cluster: LocalHadoop, port: int) -> None:
    """Say all that a person needs to know."""
    if hub.port != port:
        print(f"\nPort {port} is taken.", end="")
    print(
        f"""
Open    {hub.address}
as      alice or bob, password {hub.password}
        carl, with the same password, whom the hub may not impersonate
        {ADMIN}, password {hub.admin_password}

YARN    {cluster.resource_manager_url}
Logs    {hub.log} and {cluster.directory / "logs"}
Stop    with Ctrl-C: nothing is left behind, and the users' files are gone
""",
        flush=True,
    )


def stay(hub: Hub) -> None:
    """Wait for a signal; raises :class:`HubError` if the hub ends without one."""
    while hub.running:
        time.sleep(0.5)
    raise HubError(f"the hub has ended: {hub.last_words()}")


def interrupt(number: int, _: Any) -> None:
    if number == signal.SIGHUP:
        # The terminal is gone; what is still said goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    raise KeyboardInterrupt


def ignore_interrupts() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def parse() -> argparse.Namespace:
    # scripts/demo says what they mean.
    parser = argparse.ArgumentParser(prog="scripts/demo", add_help=False)
    parser.add_argument("--kerberos", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--jupyterhub", choices=["5", "6"])
    parser.add_argument("--hadoop", default="3.4")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--port", type=int, default=8000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
