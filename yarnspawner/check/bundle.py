"""Write the support bundle: what the check found and what it looked at, without secrets."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from traitlets import TraitType

from yarnspawner.check.container import PACKAGES
from yarnspawner.check.context import CheckContext
from yarnspawner.check.report import TextReport, as_document
from yarnspawner.check.result import Finished
from yarnspawner.common.text import sanitize
from yarnspawner.hadoop.site_files import SiteFileError, properties_of

# Part of a name whose value is a secret.
_SECRET_NAME = re.compile(
    r"passw|secret|token|credential|cookie|crypt|private|api.?key|access.?key|account.?key|\.key$|auth_state|jaas",
    re.IGNORECASE,
)
# Names that match, and whose values are harmless and useful.
_HARMLESS = re.compile(
    r"(lifetime|interval|enable[d]?|renew[a-z-]{0,30}|max-[a-z]{1,30}|ms|sec(onds)?|class|provider\.(path|uri)|[._]file)$"
)
# user:password@ in an address, a token in a query, and what a JSON or PEM block carries.
_IN_ADDRESS = re.compile(r"(\b\w{1,20}://[^\s/:@]*:)[^\s/@]+@")
_PEM = re.compile(r"-----BEGIN [A-Z ]{1,40}-----(?:[^-]|-(?!----))*(?:-----END [A-Z ]{1,40}-----)?")
_HEXADECIMAL = re.compile(r"\b[0-9a-fA-F]{32,}\b")
REMOVED = "[removed]"
_LARGEST = 1 << 20
_VARIABLES = re.compile(r"(HADOOP|YARN|HDFS|JAVA|KRB5|JUPYTERHUB|YARNSPAWNER|PATH|LANG|LC|TZ|USER|LOGNAME|HOME)")


def write_bundle(file: Path, context: CheckContext, finished: Sequence[Finished]) -> None:
    """Write a tar archive, readable by its owner only.

    It contains the results, the hub's settings of YarnSpawner and JupyterHub, Hadoop's configuration, versions, and the
    environment. What may be a secret is removed: values of properties, settings and variables whose name says so, passwords
    in addresses, keys, and long hexadecimal numbers. No file is copied as it is.

    Raises:
        OSError: the file cannot be written.
    """
    contents = {
        "check.json": _json(as_document(finished, user=context.user, hub=context.hub_user)),
        "check.txt": clean(_text(finished)),
        "settings.json": _json(settings_of_hub(context)),
        "environment.json": _json(environment(os.environ)),
        "versions.json": _json(versions()),
        **hadoop_files(context.folder),
    }
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in contents.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"yarnspawner-check/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))


def clean(text: str) -> str:
    """Return a text without keys, passwords, tokens and long hexadecimal numbers."""
    text = _IN_ADDRESS.sub(rf"\1{REMOVED}@", _PEM.sub(REMOVED, text[:_LARGEST]))
    return sanitize(_HEXADECIMAL.sub(REMOVED, text), _LARGEST)


def _json(document: Any) -> str:
    return json.dumps(_cleaned(document), indent=1)


def _cleaned(value: Any) -> Any:
    """Clean each text of a document, before it is quoted."""
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else clean(str(value))


def value_of(name: str, value: str) -> str:
    """Return a property's value, or REMOVED if its name says that it is a secret."""
    if value and _SECRET_NAME.search(name) and not _HARMLESS.search(name):
        return REMOVED
    return sanitize(value, 4000)


def settings_of_hub(context: CheckContext) -> dict[str, str]:
    """Return what the hub's configuration sets. Of functions and objects, only their types."""
    found = {}
    for section, values in sorted(context.hub.config.items()):
        for name, value in sorted(dict(values).items()):
            found[f"{section}.{name}"] = value_of(name, _shown(value))
    return found


def _shown(value: Any) -> str:
    """Return a setting as text. An environment or a list of services may have secrets, so only names are kept."""
    if isinstance(value, Mapping):
        return json.dumps({str(key): value_of(str(key), _shown(item)) for key, item in value.items()})
    if isinstance(value, (list, tuple, set)):
        return json.dumps([_shown(item) for item in value])
    if isinstance(value, (str, int, float, bool, type(None))):
        return str(value)
    return f"<{type(value).__name__}>" if not isinstance(value, TraitType) else "<trait>"


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that matter to Hadoop and the hub. Of all others, only the names."""
    return {
        name: value_of(name, value) if _VARIABLES.match(name) else REMOVED for name, value in sorted(variables.items())
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the packages."""
    found = {"python": sys.version, "system": platform.platform()}
    for name in (*PACKAGES, "tornado", "grpcio", "protobuf", "SQLAlchemy", "traitlets"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def hadoop_files(folder: Path) -> dict[str, str]:
    """Return the properties of Hadoop's files, each as a JSON document."""
    return {
        f"hadoop/{file.name}.json": text for file in sorted(folder.glob("*-site.xml")) for text in _properties(file)
    }


def _properties(file: Path) -> Iterator[str]:
    try:
        yield _json({one.name: value_of(one.name, one.value) for one in properties_of(file)})
    except SiteFileError as error:
        yield _json({"error": str(error)})


def _text(finished: Sequence[Finished]) -> str:
    stream = io.StringIO()
    report = TextReport(stream)
    for step in finished:
        report.step(step)
    report.end(finished)
    return stream.getvalue()
