"""The action of ``yarnspawner kernelspec install``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from yarnspawner.common.kernel_protocol import KernelSize
from yarnspawner.kernels.environment import find_environment
from yarnspawner.kernels.request import KernelError
from yarnspawner.singleuser.kernel_specs import write_kernelspec


def install(options: argparse.Namespace) -> int:
    """Install a kernelspec, and print its folder.

    Raises:
        KernelError: the local kernel or the environment does not exist, or the folder is not writable.
    """
    # Deferred: the import is slow, and not every command needs it.
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        base = manager.get_kernel_spec(options.kernel)
    except NoSuchKernel:
        raise KernelError(
            f"The kernelspec {options.kernel} does not exist here. For python3, run `pip install ipykernel`."
        ) from None
    settings = {
        "memory": options.memory,
        "vcores": options.vcores,
        "gpus": options.gpus,
        "queue": options.queue,
        "environment": find_environment(options.environment),
        "port_range": options.port_range,
    }
    size = KernelSize(options.name, options.kernel, "", options.memory, options.vcores, options.gpus)
    prefix = sys.prefix if options.sys_prefix else options.prefix
    with tempfile.TemporaryDirectory() as temporary:
        # Jupyter copies the folder with its mode.
        folder = Path(temporary, options.name)
        folder.mkdir(mode=0o755)
        write_kernelspec(folder, base, size, settings, name=options.display_name)
        try:
            installed = manager.install_kernel_spec(
                str(folder), kernel_name=options.name, user=not prefix, prefix=prefix or None
            )
        except OSError as error:
            raise KernelError(f"The kernelspec cannot be installed in {error.filename}: {error.strerror}.") from None
    print(installed)
    return 0
