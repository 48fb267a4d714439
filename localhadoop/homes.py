"""The folders that users and YARN expect in a fresh HDFS: homes, ``/tmp`` and ``/tmp/logs``."""

from __future__ import annotations

import os
import pwd
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from localhadoop import rest
from localhadoop.errors import LocalHadoopError
from localhadoop.settings import HUB, USERS, Settings, operator


def folders(settings: Settings) -> dict[str, tuple[str, int]]:
    """Owner and mode by path, parents first."""
    root = "hdfs" if settings.kerberos else operator()
    wanted = {
        "/tmp": (root, 0o1777),  # noqa: S108 - in HDFS
        "/tmp/logs": (root, 0o1777),  # noqa: S108
        "/user": (root, 0o755),
    }
    # What a hub shares with all servers is below its home, so others must get through.
    hubs = [HUB] if settings.kerberos else [HUB, operator()]
    wanted |= {f"/user/{user}": (user, 0o711) for user in hubs}
    return wanted | {f"/user/{user}": (user, 0o700) for user in USERS}


def make_over_web(settings: Settings) -> None:
    """Make them through WebHDFS, which spares a JVM; only where no Kerberos guards it."""
    for path, (owner, mode) in folders(settings).items():
        for parameters in (
            {"op": "MKDIRS", "permission": f"{mode:o}"},
            {"op": "SETPERMISSION", "permission": f"{mode:o}"},  # MKDIRS drops the sticky bit
            {"op": "SETOWNER", "owner": owner},
        ):
            query = urllib.parse.urlencode(parameters | {"user.name": operator()})
            url = f"{settings.scheme}://{settings.address('namenode-web')}/webhdfs/v1{path}?{query}"
            if settings.strict:
                put(url, settings)
                continue
            request = urllib.request.Request(url, method="PUT")  # noqa: S310 - http
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                opener.open(request, timeout=30).close()
            except (urllib.error.URLError, TimeoutError) as error:
                raise LocalHadoopError(f"cannot make {path} in HDFS: {error}") from error


def put(url: str, settings: Settings) -> None:
    """Send a PUT request with curl, for certificates of the cluster's own CA."""
    try:
        rest.fetch(url, 30, ["--request", "PUT", *rest.options(settings)])
    except OSError as error:
        raise LocalHadoopError(f"{url.partition('?')[0]}: {error}") from error


def make_by_copy(settings: Settings, hdfs: Callable[..., str]) -> None:
    """Make them with one ``hdfs dfs -put -p`` of a local tree with those owners; needs root and the users."""
    tree = settings.folder / "tmp" / "homes"
    shutil.rmtree(tree, ignore_errors=True)
    for path, (owner, mode) in folders(settings).items():
        target = Path(f"{tree}{path}")
        target.mkdir(parents=True)
        account = pwd.getpwnam(owner)
        os.chown(target, account.pw_uid, account.pw_gid)
        target.chmod(mode)
    hdfs("-put", "-p", *[str(entry) for entry in sorted(tree.iterdir())], "/")
    shutil.rmtree(tree, ignore_errors=True)
