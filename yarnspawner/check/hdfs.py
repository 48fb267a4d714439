"""Check HDFS: safe mode, home folders, the shared folder and quotas."""

from __future__ import annotations

from yarnspawner.check.context import CheckContext
from yarnspawner.check.reading import error_line
from yarnspawner.check.result import Result, Step, Unknown, ok, warning, wrong
from yarnspawner.hadoop.filesystem import Entry, FileSystemError
from yarnspawner.hadoop.permissions import check_world_readable

_GROUP = "HDFS"
_MEBIBYTE = 2**20
# HDFS counts a whole block for each replica while a file is written, however small the file is.
_DEFAULT_BLOCK = 128 * _MEBIBYTE
_DEFAULT_REPLICATION = 3
# skein makes a folder and five files for each application.
_LEAST_NAMES = 10


async def safe_mode(context: CheckContext) -> Result:
    """Check that the NameNode answers and accepts changes."""
    completed = await context.command("hdfs", "dfsadmin", "-safemode", "get")
    said = completed.output.decode(errors="replace").strip()
    if completed.status or "afe mode is" not in said:
        return wrong(
            f"The NameNode ({context.configuration['fs.defaultFS']}) does not answer: {error_line(completed)}",
            commands=("hdfs dfsadmin -report",),
        )
    if "Safe mode is ON" in said:
        return wrong(
            "The NameNode is in safe mode, in which no application can be submitted. It leaves it by itself when enough"
            " blocks are reported; if an administrator turned it on, turn it off.",
            commands=("hdfs dfsadmin -safemode leave",),
        )
    return ok("The NameNode answers; safe mode is off")


async def hub_home(context: CheckContext) -> Result:
    """Check the hub's home, and that only the hub can replace the files that it shares with all servers."""
    home, user = f"{context.homes().homes}/{context.hub_user}", context.hub_user
    folder = context.settings.shared_folder or ""
    paths = _ancestors(home)
    commands = f"hdfs dfs -mkdir -p {home} && hdfs dfs -chown {user} {home} && hdfs dfs -chmod 711 {home}"
    make = (f"{commands}    # as HDFS's superuser",)
    found = await _stat(context, paths)
    if len(found) < len(paths):
        return wrong(f"{home} does not exist, or the hub may not see it.", commands=make)
    if found[-1].owner != user:
        return wrong(f"{home} belongs to {found[-1].owner}, not to {user}.", commands=make)
    if not folder:
        return ok(f"{home} belongs to the hub; shared_folder is not set")
    shared = _ancestors(folder if folder.startswith("/") else f"{home}/{folder}")
    entries = await _stat(context, shared)
    try:
        check_world_readable(list(zip(shared, entries, strict=False)), user)
    except FileSystemError as error:
        return warning(
            f"The hub cannot share files with servers, so each start uploads them: {error}.",
            commands=(f"hdfs dfs -chmod 711 {home}",),
        )
    return ok(f"{home} belongs to the hub, and others can pass but not write (mode {found[-1].mode:o})")


async def user_home(context: CheckContext) -> Result:
    """Check the user's home, in which YARN keeps an application's files."""
    user = context.need_user()
    home = f"{context.homes().homes}/{user}"
    paths = _ancestors(home)
    make = (f"hdfs dfs -mkdir -p {home} && hdfs dfs -chown {user} {home}    # as HDFS's superuser",)
    found = await _stat(context, paths)
    if len(found) < len(paths):
        return wrong(f"{home} does not exist.", commands=make)
    entry = found[-1]
    if entry.owner != user:
        return wrong(f"{home} belongs to {entry.owner}, not to {user}.", commands=make)
    if not entry.folder or entry.mode & 0o700 != 0o700:
        return wrong(f"{user} cannot use {home} (mode {entry.mode:o}).", commands=(f"hdfs dfs -chmod u+rwx {home}",))
    return ok(f"{home} belongs to {user} (mode {entry.mode:o})")


async def quota(context: CheckContext) -> Result:
    """Check that the user's home has room for an application's files."""
    user = context.need_user()
    home = f"{context.homes().homes}/{user}"
    completed = await context.command("hadoop", "fs", "-count", "-q", home, user=user)
    words = completed.output.decode(errors="replace").split()
    if completed.status or len(words) < 8:
        raise Unknown(f"The quota cannot be read: {error_line(completed)}")
    names, space = _number(words[1]), _number(words[3])
    block = _number(context.configuration.get("dfs.blocksize", "")) or _DEFAULT_BLOCK
    copies = _number(context.configuration.get("dfs.replication", "")) or _DEFAULT_REPLICATION
    if names is not None and names < _LEAST_NAMES:
        return wrong(
            f"{home} may have {names} more files and folders, and an application needs up to {_LEAST_NAMES}.",
            commands=(f"hdfs dfsadmin -setQuota NUMBER {home}    # as HDFS's superuser",),
        )
    if space is not None and space < block * copies:
        return wrong(
            f"{home} has {space // _MEBIBYTE} MiB left of its quota. HDFS counts {copies} whole blocks"
            f" ({block * copies // _MEBIBYTE} MiB) while a file is written, however small, so every start fails.",
            commands=(f"hdfs dfsadmin -setSpaceQuota SIZE {home}    # as HDFS's superuser",),
        )
    left = [f"{names} names" if names is not None else "", f"{space // _MEBIBYTE} MiB" if space is not None else ""]
    return ok(f"{home} has {' and '.join(filter(None, left))} left" if any(left) else f"{home} has no quota")


def _number(text: str) -> int | None:
    """Return a number, with a suffix as in Hadoop's configuration; None for "none" and "inf"."""
    suffixes = {"k": 2**10, "m": 2**20, "g": 2**30}
    factor = suffixes.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    return int(digits) * factor if digits.lstrip("-").isdecimal() else None


def _ancestors(path: str) -> list[str]:
    """Return the root, each folder above a path, and the path."""
    parts = [part for part in path.split("/") if part]
    return ["/", *("/" + "/".join(parts[: n + 1]) for n in range(len(parts)))]


async def _stat(context: CheckContext, paths: list[str]) -> list[Entry]:
    try:
        return await context.once("stat " + " ".join(paths), lambda: _read(context, paths))
    except FileSystemError as error:
        raise Unknown(f"HDFS does not answer: {error}.") from None


async def _read(context: CheckContext, paths: list[str]) -> list[Entry]:
    return await context.file_system().stat(paths)


STEPS = [
    Step(_GROUP, "NameNode", safe_mode),
    Step(_GROUP, "The hub's home", hub_home),
    Step(_GROUP, "The user's home", user_home),
    Step(_GROUP, "The user's quota", quota),
]
