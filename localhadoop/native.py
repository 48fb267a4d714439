"""Hadoop's native library, without which a secure NodeManager dies at its first log aggregation (``SecureIOUtils``).

Maven Central has it only inside ``io.trino.hadoop:hadoop-apache``, and only for some versions of Hadoop. Version 3.5 changed
the signatures of the Java classes that call it; there the classes that fit the library stand before Hadoop's own.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from platform import machine

from localhadoop.errors import LocalHadoopError

#: Names of architectures in the jar, by those of the kernel.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64", "ppc64le": "ppc64le"}

CLASSES = "org/apache/hadoop/io/nativeio/"


def install(jars: Iterable[Path], library: Path, classes: Path) -> None:
    """Put ``libhadoop.so`` for this machine into the folder ``library``, and classes that fit it into ``classes``.

    Raises :class:`LocalHadoopError` on a machine that it was not built for.
    """
    member = f"nativelib/Linux-{ARCHITECTURES.get(machine(), machine())}/libhadoop.so"
    library.mkdir(parents=True, exist_ok=True)
    classes.mkdir(parents=True, exist_ok=True)
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            names = archive.namelist()
            if member in names:
                (library / "libhadoop.so").write_bytes(archive.read(member))
                (library / "libhadoop.so").chmod(0o755)
            elif any(name.startswith("nativelib/") for name in names):
                raise LocalHadoopError(f"there is no native Hadoop library for {machine()}, which Kerberos needs")
            else:
                archive.extractall(classes, [name for name in names if name.startswith(CLASSES)])
