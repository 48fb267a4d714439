"""Write a lock file again: ``python -m localhadoop.lock 3.4.3 [OPTIONS]``.

For developers, with Maven at hand; users of a lock file need none. Maven resolves the dependencies into a repository of
its own, with strict checksums, and what it downloaded is pinned by path, size and SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from localhadoop.jars import LOCKS

#: What the daemons, the clients and skein's driver need. The ResourceManager does not start without the timeline
#: service's classes; skein needs ``TokenCache`` of the MapReduce client where Kerberos is on.
HADOOP_MODULES = (
    "hadoop-common",
    "hadoop-hdfs",
    "hadoop-hdfs-client",
    "hadoop-mapreduce-client-core",
    "hadoop-yarn-client",
    "hadoop-yarn-server-nodemanager",
    "hadoop-yarn-server-resourcemanager",
    "hadoop-yarn-server-timelineservice",
)

#: ZooKeeper's server wants snappy; its own POM says that others bring it.
EXTRA_MODULES = ("org.xerial.snappy:snappy-java:1.1.10.4",)

#: Java had these classes until release 10; Hadoop 3.1 and 3.2, made for Java 8, do not bring them.
MODULES_OF_JAVA_8 = ("com.sun.activation:javax.activation:1.2.0", "javax.annotation:javax.annotation-api:1.3.2")

#: Resolved by Maven, of no use to a cluster on Linux.
UNWANTED = re.compile(r"osx-|riscv|windows|/mssql-jdbc/|-macos/|-kqueue/|/listenablefuture/")

#: From 3.3 on Hadoop logs through reload4j; before, this is all it has.
LOG4J = re.compile(r"/slf4j-log4j12/|^log4j/")

DEPENDENCY = """<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>{3}</dependency>"""
EXCLUDE_ALL = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>localhadoop</groupId><artifactId>lock</artifactId><version>1</version>
<dependencies>{0}</dependencies></project>
"""


#: Of this only the native code is used.
NATIVE = "io/trino/hadoop/hadoop-apache/"


def is_old(version: str) -> bool:
    """Whether Hadoop ``version`` is older than 3.3."""
    return tuple(int(part) for part in version.split(".")[:2]) < (3, 3)


def is_wanted(path: str, version: str) -> bool:
    """Whether the jar at ``path`` of a Maven repository is one of a cluster's."""
    return not UNWANTED.search(path) and (is_old(version) or not LOG4J.search(path))


def pom(version: str, native: str) -> str:
    """A POM that depends on all that a cluster of Hadoop ``version`` needs."""
    wanted = [DEPENDENCY.format("org.apache.hadoop", module, version, "") for module in HADOOP_MODULES]
    extra = (*EXTRA_MODULES, *(MODULES_OF_JAVA_8 if is_old(version) else ()))
    wanted += [DEPENDENCY.format(*module.split(":"), "") for module in extra]
    wanted.append(DEPENDENCY.format("io.trino.hadoop", "hadoop-apache", native, EXCLUDE_ALL))
    return POM.format("".join(wanted))


def resolve(version: str, native: str, classes: str | None) -> list[str]:
    """Resolve with Maven; the lock file's line for each jar."""
    with tempfile.TemporaryDirectory(prefix="localhadoop-lock-") as temporary:
        folder = Path(temporary)
        repository, listing = folder / "repository", folder / "list"
        (folder / "pom.xml").write_text(pom(version, native))
        maven = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", f"-Dmaven.repo.local={repository}"]
        subprocess.run(
            [
                *maven,
                *("dependency:list", "-DincludeScope=runtime", "-DoutputAbsoluteArtifactFilename=true"),
                f"-DoutputFile={listing}",
            ],
            cwd=folder,
            check=True,
        )
        found = sorted(set(re.findall(rf"{re.escape(str(repository))}/(\S+\.jar)", listing.read_text())))
        natives = [path for path in found if path.startswith(NATIVE)]
        if classes:
            artifact = f"org.apache.hadoop:hadoop-common:{classes}"
            subprocess.run(
                [*maven, "dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"], cwd=folder, check=True
            )
            natives.append(f"org/apache/hadoop/hadoop-common/{classes}/hadoop-common-{classes}.jar")
        lines = []
        for path in [*(path for path in found if path not in natives and is_wanted(path, version)), *natives]:
            content = (repository / path).read_bytes()
            suffix = " native" if path in natives else ""
            lines.append(f"{hashlib.sha256(content).hexdigest()} {len(content):9d} {path}{suffix}")
    return lines


def write(version: str, native: str, classes: str | None = None) -> Path:
    """Write the lock file of the series of ``version`` and return its path."""
    series = ".".join(version.split(".")[:2])
    target = LOCKS / f"hadoop-{series}.lock"
    lines = [
        f"# hadoop {version}",
        f"# Made by: python -m localhadoop.lock {version} --native {native}{f' --classes {classes}' if classes else ''}",
        "# SHA-256, size in bytes, path in a Maven repository; 'native' ones only for native code (native.py).",
        *resolve(version, native, classes),
    ]
    target.write_text("\n".join(lines) + "\n")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localhadoop.lock", description="Write a lock file again.")
    parser.add_argument("version", help="version of Hadoop, for example 3.4.3")
    parser.add_argument("--native", default="3.4.3-1", help="version of io.trino.hadoop:hadoop-apache (libhadoop.so)")
    parser.add_argument("--classes", help="version of hadoop-common whose classes fit that library, if not this one")
    arguments = parser.parse_args()
    print(write(arguments.version, arguments.native, arguments.classes))


if __name__ == "__main__":
    main()
