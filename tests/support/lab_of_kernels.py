"""JupyterLab with kernels in containers that are local processes: ``python lab_of_kernels.py FOLDER PORT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyterlab.labapp import LabApp

from tests.support.file_store import file_store
from yarnspawner.common.kernel_protocol import KernelOffer, KernelSize
from yarnspawner.singleuser.kernel_specs import install_kernelspecs
from yarnspawner.singleuser.notebook_storage import install_labextension

TOKEN = "token"


def main(folder: str, port: str) -> None:
    """Run the server until it is stopped."""
    os.environ[KernelOffer.variable] = KernelOffer((KernelSize("small", "python3", "", 400, 1),)).to_json()
    install_kernelspecs(os.environ, folder)
    install_labextension(os.environ)
    settings = {
        "ServerApp.base_url": "/user/alice/",
        "ServerApp.port": port,
        "ServerApp.port_retries": "0",
        "ServerApp.root_dir": folder,
        "ServerApp.open_browser": "False",
        "ServerApp.allow_root": "True",
        "IdentityProvider.token": TOKEN,
    }
    with file_store(Path(folder, "store")):
        LabApp.launch_instance([f"--{name}={value}" for name, value in settings.items()])


if __name__ == "__main__":
    main(*sys.argv[1:])
