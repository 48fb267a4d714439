"""The kernel recipe: an IPython kernel in a YARN container.

``python -m yarnspawner.singleuser.kernel [options]`` replaces ``python -m skein.recipes.ipython_kernel``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from yarnspawner.common.protocol import KERNEL_KEY, Failure
from yarnspawner.singleuser.environment import ensure_writable_dirs
from yarnspawner.singleuser.failure import RecipeError, Tail, explain, say
from yarnspawner.singleuser.kernel_supervisor import KernelSupervisor
from yarnspawner.singleuser.listening import PORT_RANGE_VARIABLE
from yarnspawner.singleuser.log import LogLimit

if TYPE_CHECKING:
    from yarnspawner.singleuser.store import Store

_NAME = "yarnspawner.singleuser.kernel"

FAILURE_SUFFIX = ".error"
"""Suffix of the key under which a failed kernel publishes the reason."""


def main(arguments: list[str] | None = None) -> int:
    """Run the kernel until it is shut down; return the exit status."""
    own = _parser()
    options, others = own.parse_known_args(arguments)
    if {"-h", "--help", "--help-all"} & set(others):
        sys.stdout.write(own.format_help() + "\n")
        sys.stdout.flush()
    elif "SKEIN_APPLICATION_ID" not in os.environ:
        say(_NAME, "this works only in a YARN container that skein has started")
        return 1
    else:
        supervision = KernelSupervisor()
        if not supervision.fork():
            ending = supervision.wait(LogLimit().keep)
            _tell(options.kernel_info_key, ending.failure)
            return ending.status
        return _run(options, others, supervision)

    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(others)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_NAME}",
        usage=f"python -m {_NAME} [options] [options of ipykernel]",
        description=(
            "Starts an IPython kernel in the YARN container that this runs in, and publishes how to connect to it in the"
            " key-value store of the application, as a Jupyter connection file. When the kernel is shut down (`exit` in"
            " a console), the exit status is 0. A kernel that dies ends an application that is nothing but this kernel"
            " as FAILED, with the reason."
        ),
        epilog="The kernel listens on the node's address, unless --ip says otherwise. All other options are ipykernel's:",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--kernel-info-key",
        default=KERNEL_KEY,
        metavar="KEY",
        help="under which to publish how to connect (default: %(default)s)",
    )
    parser.add_argument(
        "--port-range",
        default=os.environ.get(PORT_RANGE_VARIABLE, ""),
        metavar="FIRST:LAST",
        help=f"ports to listen on; a kernel needs five (default: ${PORT_RANGE_VARIABLE}, else any)",
    )
    parser.add_argument(
        "--connection-key-file",
        default="",
        metavar="FILE",
        help="private JSON file with the `key`, and for encryption the `curve_publickey` and `curve_secretkey`, of the"
        " connection, as the client made them; then no key is published",
    )
    return parser


def _run(options: argparse.Namespace, arguments: list[str], supervision: KernelSupervisor) -> int:
    """Run the kernel in the child process."""
    with contextlib.redirect_stderr(Tail(sys.stderr)) as tail:
        try:
            from yarnspawner.singleuser.store import Store

            store = Store()
            ensure_writable_dirs(os.environ, store.container_folder)
            from yarnspawner.singleuser.kernel_app import KernelApp, KernelOptions

            KernelApp.store = store
            KernelApp.options = KernelOptions(**vars(options))
            KernelApp.launch_instance(arguments)
            return 0
        # SystemExit is how IPython ends when something is wrong.
        except BaseException as error:  # noqa: BLE001
            if isinstance(error, SystemExit) and error.code in (0, None):
                return 0
            if not isinstance(error, (RecipeError, SystemExit)):
                traceback.print_exc()
            supervision.report(explain(error, tail.text, program="The kernel"))
            sys.stderr.flush()
            # What IPython does at exit waits for sockets that a start that was broken off leaves open.
            os._exit(1)


def _tell(key: str, failure: Failure | None) -> None:
    """Clean up after the kernel: remove its key from the store, and report its failure."""
    from yarnspawner.singleuser.store import NotInContainer, Store, StoreError

    if failure:
        say(_NAME, failure.message)
    try:
        store = Store()
        store.discard(key)
        if failure:
            store.put(key + FAILURE_SUFFIX, failure.to_bytes(), lasting=True)
            if _is_whole_application(store):
                store.fail(failure.message)
    except (NotInContainer, StoreError, ImportError) as error:
        say(_NAME, f"the failure could not be published: {error}")


def _is_whole_application(store: Store) -> bool:
    """Return True if this failure ends the application anyway, so that only the reason is missing.

    Return False for a kernel that runs with other kernels or a server, and for one started in a terminal.
    """
    command = Path(f"/proc/{os.getppid()}/cmdline").read_text()
    if ".skein.sh" not in command:
        return False
    if store.container_id is None:
        return True
    service = store.specification().services[store.container_id.rpartition("_")[0]]
    return not service.allow_failures and service.max_restarts == 0


if __name__ == "__main__":
    sys.exit(main())
