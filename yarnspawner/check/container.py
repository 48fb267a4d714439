"""What runs in a container of the probe: a script without imports of this package, whose version there may differ.

It prints what it finds as one line of JSON and publishes it in the application's key-value store.
"""

from __future__ import annotations

import grp
import importlib
import json
import os
import platform
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

MARK = "yarnspawner-check: "
PACKAGES = ("jupyterhub", "jupyter_server", "jupyterlab", "notebook", "ipykernel", "skein", "yarnspawner")
_TIMEOUT = 10
_GO_TIMEOUT = 90


def look(targets: dict[str, str]) -> dict[str, Any]:
    """Return what there is on this node. No part can fail the others."""
    parts = {
        "node": socket.gethostname,
        "account": account,
        "python": lambda: {"version": platform.python_version(), "executable": sys.executable},
        "packages": packages,
        "home": home,
        "tmp": executable_tmp,
        "disk": lambda: {"free": shutil.disk_usage(".").free, "folder": str(Path.cwd())},
        "java": java,
        "ways": lambda: {name: reach(address) for name, address in targets.items()},
        "time": time.time,
    }
    found: dict[str, Any] = {}
    for name, part in parts.items():
        try:
            found[name] = part()
        except Exception as error:  # noqa: BLE001 - told instead
            found[name] = {"error": f"{type(error).__name__}: {error}"}
    return found


def account() -> dict[str, Any]:
    """Return the account that the container runs as."""
    groups = []
    for gid in os.getgroups():
        try:
            groups.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            groups.append(str(gid))
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return {"name": name, "uid": os.getuid(), "groups": groups}


def packages() -> dict[str, str]:
    """Return the versions of the packages that matter; "" for a missing one."""
    from importlib import metadata

    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def home() -> dict[str, Any]:
    """Return the home folder, whether it can be written, and its file system."""
    path = os.environ.get("HOME", "")
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [words for words in mounts if f"{path}/".startswith(words[1].rstrip("/") + "/")]
    last = max(above, key=lambda words: len(words[1]), default=["", "", "unknown"])
    own = pwd.getpwuid(os.getuid()).pw_dir
    return {
        "path": path,
        "own": os.path.realpath(path) == os.path.realpath(own),
        "account": own,
        "writable": os.access(path, os.W_OK),
        "type": last[2],
    }


def executable_tmp() -> dict[str, Any]:
    """Return whether programs in the folder for temporary files may run. skein and many packages unpack some there."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script")
        script.write_text("#!/bin/sh\nexit 0\n")
        script.chmod(0o700)
        try:
            executes = subprocess.run([str(script)], timeout=_TIMEOUT, check=False).returncode == 0
        except PermissionError:  # its file system is mounted noexec
            executes = False
        return {"folder": tempfile.gettempdir(), "executes": executes, "free": shutil.disk_usage(folder).free}


def java() -> dict[str, str]:
    """Return the Java that programs of this container use."""
    own = os.environ.get("JAVA_HOME")
    path = shutil.which(f"{own}/bin/java") if own else shutil.which("java")
    if path is None:
        return {"path": "", "version": ""}
    done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=_TIMEOUT * 6, check=False)
    return {"path": path, "version": (done.stderr.splitlines() or [""])[0]}


def reach(address: str) -> str:
    """Return "" if an address answers, or the reason. A URL must answer HTTP, ``host:port`` must accept a connection."""
    try:
        if "://" in address:
            with urllib.request.urlopen(address, timeout=_TIMEOUT) as response:  # noqa: S310 - the hub's own URL
                return "" if response.status < 400 else f"HTTP status {response.status}"
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=_TIMEOUT).close()
    except Exception as error:  # noqa: BLE001 - told instead
        return f"{type(error).__name__}: {error}"
    return ""


def markers(name: str) -> list[str]:
    """Return the files of this check in the home folder."""
    return sorted(path.name for path in Path(os.environ["HOME"]).glob(f"{name}-*"))


def main() -> None:
    """Look, publish, wait until all nodes have, and publish whose files are in the home folder."""
    number, name = os.environ["YARNSPAWNER_CHECK_NUMBER"], os.environ["YARNSPAWNER_CHECK_NAME"]
    found = look(json.loads(os.environ["YARNSPAWNER_CHECK_TARGETS"]))
    sys.stdout.write(f"{MARK}{json.dumps(found)}\n")
    sys.stdout.flush()
    # skein imports distutils, which setuptools provides in Python 3.12 and later.
    importlib.import_module("setuptools")
    import skein

    own = Path(os.environ["HOME"], f"{name}-{number}")
    try:
        try:
            own.touch()
        except OSError as error:
            found["home"]["error"] = str(error)
        client = skein.ApplicationClient.from_current()
        client.kv[f"check.{number}"] = json.dumps(found).encode()
        until = time.monotonic() + _GO_TIMEOUT
        while client.kv.get("check.go") is None and time.monotonic() < until:
            time.sleep(0.5)
        client.kv[f"check.{number}.home"] = json.dumps(markers(name)).encode()
        while client.kv.get("check.end") is None and time.monotonic() < until:
            time.sleep(0.5)
    finally:
        own.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
