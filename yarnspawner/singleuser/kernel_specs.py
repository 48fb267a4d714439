"""The kernelspecs of kernels in their own containers, for a server's launcher."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from traitlets.config import Config

from yarnspawner.common.kernel_protocol import KernelOffer, KernelSize
from yarnspawner.common.protocol import ProtocolError
from yarnspawner.singleuser.failure import say

PROVISIONER = "yarn-provisioner"
"""Name of the entry point of `yarnspawner.provisioner`."""

PAGE = "yarnspawner.kernels.page"
"""Jupyter Server's extension with the page of these kernels."""

_FOLDER = ".yarnspawner-kernels"
_NAME = "yarnspawner.singleuser"
# Seconds between two polls of a kernel; Jupyter's own default is 3.
_POLL_INTERVAL = 1.0


def offered_kernels(environ: Mapping[str, str]) -> KernelOffer:
    """Return the kernels that the hub offers to this server's user."""
    try:
        return KernelOffer.from_json(environ.get(KernelOffer.variable, ""))
    except ProtocolError as error:
        say(_NAME, f"kernels in containers are not offered: {error}")
        return KernelOffer(())


def install_kernelspecs(environ: MutableMapping[str, str], container_folder: str) -> None:
    """Write the kernelspecs of all offered sizes into the container's folder, add it to Jupyter's path, and enable their page.

    A size whose kernelspec does not exist in this environment is left out. Nothing is written to the user's home.
    """
    offer = offered_kernels(environ)
    if not offer.sizes:
        return
    # Deferred: a server without such kernels does not need it so early.
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    root = Path(container_folder) / _FOLDER
    known = KernelSpecManager()
    for size in offer.sizes:
        try:
            base = known.get_kernel_spec(size.kernelspec)
        except NoSuchKernel:
            say(_NAME, f"the kernel {size.kernelspec} does not exist here, so {size.slug} is not offered")
            continue
        folder = root / "kernels" / f"yarn-{size.slug}"
        folder.mkdir(parents=True, exist_ok=True)
        write_kernelspec(folder, base, size, {"size": size.slug})
    _enable_page(root / "etc")
    environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        filter(None, (str(root / "etc"), environ.get("JUPYTER_CONFIG_PATH")))
    )
    environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(root), environ.get("JUPYTER_PATH"))))


def _enable_page(folder: Path) -> None:
    """Write a configuration folder that enables the server's page of these kernels. A user can disable it."""
    target = folder / "jupyter_server_config.d"
    target.mkdir(parents=True, exist_ok=True)
    enabled = {"ServerApp": {"jpserver_extensions": {PAGE: True}}}
    (target / "yarnspawner.json").write_text(json.dumps(enabled))


def kernel_settings(config: Config, environ: Mapping[str, str]) -> Config:
    """Return settings with which a server notices the end of a kernel within two seconds, to be added to its configuration.

    Empty if the hub offers no kernels in containers, or if a user or admin has set the interval.
    """
    is_set = any("time_to_dead" in section for section in config.values() if isinstance(section, Config))
    if is_set or not offered_kernels(environ).sizes:
        return Config()
    return Config({"KernelRestarter": {"time_to_dead": _POLL_INTERVAL}})


def write_kernelspec(folder: Path, base: Any, size: KernelSize, settings: Mapping[str, Any], *, name: str = "") -> None:
    """Write a kernelspec whose kernels run in YARN.

    Args:
        folder: existing folder.
        base: kernelspec of a local kernel.
        size: size of the container.
        settings: settings of the provisioner.
        name: complete display name; "" for the base's with the size.
    """
    for logo in [*Path(base.resource_dir).glob("logo-*"), *Path(base.resource_dir).glob("kernel.js")]:
        shutil.copyfile(logo, folder / logo.name)
    document = _kernelspec(base, size, settings) | ({"display_name": name} if name else {})
    (folder / "kernel.json").write_text(json.dumps(document, ensure_ascii=False, indent=1))


def _kernelspec(base: Any, size: KernelSize, settings: Mapping[str, Any]) -> dict[str, Any]:
    name = size.display_name or base.display_name.removesuffix(" (ipykernel)")
    # ipykernel interrupts itself when it gets the message. Not every kernel that says so does.
    by_message = any(word.startswith("ipykernel") for word in base.argv)
    return {
        "argv": base.argv,
        "env": base.env,
        "display_name": f"{name} · {size.text}",
        "language": base.language,
        "interrupt_mode": "message" if by_message else base.interrupt_mode,
        "metadata": {
            **base.metadata,
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": dict(settings)},
        },
    }
