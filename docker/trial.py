"""The command docker/try: start the containers, go through all steps, and remove the containers."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
import websocket
from containers import Containers, TrialError, save_logs
from steps import steps

from demo.terminal import Terminal
from demo.visitor import VisitError

CHECKOUT = Path(__file__).resolve().parent.parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130

# What a step raises if something does not work; other exceptions are faults of the step.
FAILURES = (TrialError, VisitError, OSError, requests.RequestException, websocket.WebSocketException)


def main() -> int:
    options = parse()
    if os.geteuid():
        print("docker/try: run it as root, because the containers' files belong to several accounts", file=sys.stderr)
        return 1
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    terminal = Terminal()
    containers = Containers(terminal.step)
    if options.remove:
        containers.remove()
        return 0
    status = 1
    try:
        run(containers, options, terminal)
        status = 0
    except KeyboardInterrupt:
        terminal.step("Interrupted")
        status = INTERRUPTED
    except FAILURES as error:
        terminal.step(f"Failed: {error or type(error).__name__}")
        terminal.step(f"All logs: {save_logs(tempfile.mkdtemp(prefix='yarnspawner-try-logs-'))}")
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if options.keep:
            terminal.step(f"Kept: {containers.address}, alice or bob, with the password {containers.password}")
            terminal.step("To remove all: docker/try --remove")
        else:
            containers.remove()
            terminal.step("All containers are removed")
    return status


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="docker/try")
    parser.add_argument("--environment", type=Path, metavar="FILE", help="archive of docker/make-environment")
    parser.add_argument("--keep", action="store_true", help="leave the containers running; the next trial uses them")
    parser.add_argument("--remove", action="store_true", help="only remove what an earlier trial has left")
    options = parser.parse_args()
    if options.environment and not options.environment.is_file():
        parser.error(f"there is no file {options.environment}")
    return options


def run(containers: Containers, options: argparse.Namespace, terminal: Terminal) -> None:
    archive = options.environment or make_environment(containers.folder, terminal)
    with terminal.timed("The cluster's seven hosts are up"):
        containers.start_cluster()
    with terminal.timed("The hub and its proxy are up"):
        containers.start_hub(archive.absolute())
    steps(containers, terminal)
    if options.keep:
        with terminal.timed("The worker that failed is back"):
            containers.start_cluster()


def make_environment(folder: Path, terminal: Terminal) -> Path:
    if kept := sorted(folder.glob("jupyter-*.tar.gz")):
        return kept[0]
    with terminal.timed("An environment for users' servers is built") as result:
        command = [str(CHECKOUT / "docker" / "make-environment"), "--output", str(folder)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise TrialError("the environment was not built")
        archive = folder / done.stdout.split()[-1]
        result(f"{archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    return archive


if __name__ == "__main__":
    sys.exit(main())
