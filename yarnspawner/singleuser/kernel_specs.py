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

KEEPER_EXTENSION = "yarnspawner.kernels.kept"
"""Jupyter Server's extension that keeps these kernels while the server restarts."""

_FOLDER = ".yarnspawner-kernels"
_SESSIONS = "sessions.sqlite"
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


def own_folder(container_folder: str) -> Path:
    """Return the folder of the kernelspecs, and of what the server keeps for a restart."""
    return Path(container_folder) / _FOLDER


def install_kernelspecs(environ: MutableMapping[str, str], container_folder: str) -> None:
    """Write the kernelspecs of all offered sizes into the container's folder, add it to Jupyter's path, and enable their extensions.

    A size whose kernelspec does not exist in this environment is left out. Nothing is written to the user's home.
    """
    offer = offered_kernels(environ)
    if not offer.sizes:
        return
    # Deferred: a server without such kernels does not need it so early.
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    root = own_folder(container_folder)
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
    _enable_extensions(root / "etc")
    environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        filter(None, (str(root / "etc"), environ.get("JUPYTER_CONFIG_PATH")))
    )
    environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(root), environ.get("JUPYTER_PATH"))))


def _enable_extensions(folder: Path) -> None:
    """Write a configuration folder that enables the server's extensions for these kernels. A user can disable them."""
    target = folder / "jupyter_server_config.d"
    target.mkdir(parents=True, exist_ok=True)
    enabled = {"ServerApp": {"jpserver_extensions": {PAGE: True, KEEPER_EXTENSION: True}}}
    (target / "yarnspawner.json").write_text(json.dumps(enabled))


def kernel_settings(config: Config, environ: Mapping[str, str], container_folder: str) -> Config:
    """Return settings for a server with kernels in containers, to be added to its configuration.

    - The server notices the end of a kernel within two seconds.
    - It keeps in a private file which notebook uses which kernel, so that it knows this after a restart.
    - A setting that a user or admin has made is left as it is. Without an offer, there are no settings.
    """
    settings = Config()
    if not offered_kernels(environ).sizes:
        return settings
    if not _is_set(config, "time_to_dead"):
        settings.KernelRestarter.time_to_dead = _POLL_INTERVAL
    if not _is_set(config, "database_filepath"):
        sessions = own_folder(container_folder) / _SESSIONS
        sessions.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sessions.touch(mode=0o600)
        settings.SessionManager.database_filepath = str(sessions)
    return settings


def _is_set(config: Config, setting: str) -> bool:
    return any(setting in section for section in config.values() if isinstance(section, Config))


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
