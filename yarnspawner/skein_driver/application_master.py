"""Memory, Java options and heartbeat of skein's application master, the Java process that serves the key-value store."""

import io
import zipfile

MEMORY = 256
"""Minimum memory in MiB. An idle application master uses about 130 MiB; skein limits its heap to 128 MiB."""

JAVA_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData"
    # Only Hadoop's and skein's classes run here. Verification would load additional classes.
    " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
    # The store gets a few requests a second, so it does not need the 16 MiB that netty's pool allocates.
    " -Dcom.anaconda.skein.shaded.io.netty.allocator.type=unpooled"
    " -Xms24m -Xmn12m"
    # By default, Java reserves 1 GiB of addresses for classes and 48 MiB for code, which count for YARN's check of virtual
    # memory (on by default). Only tens of MiB are used.
    " -XX:CompressedClassSpaceSize=64m -XX:ReservedCodeCacheSize=32m"
    # /tmp may be mounted noexec. The container's folder is not, or no container could start.
    " -Dcom.anaconda.skein.shaded.io.netty.native.workdir=."
)
"""With these options, the start takes half the time and little more than half the memory (see docs/performance.md)."""

LAUNCHER_OPTIONS = "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED"
"""Value of JDK_JAVA_OPTIONS, which Java 8 does not read: it knows no such option. Hadoop before 3.3 finds the Kerberos realm
in this package, which Java 16 and later close."""


def master_environment(java_options: str) -> dict[str, str]:
    """Return the variables of an application master with these Java options.

    Without options, Java has skein's own, and what Hadoop before 3.3 needs with Kerberos.
    """
    environment = {"JDK_JAVA_OPTIONS": LAUNCHER_OPTIONS}
    if java_options:
        # glibc otherwise reserves 64 MiB of addresses for each thread.
        environment |= {"MALLOC_ARENA_MAX": "2", "JAVA_TOOL_OPTIONS": java_options}
    return environment


RESET_MASTER_ENVIRONMENT = "unset JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS\nexport MALLOC_ARENA_MAX=4"
"""Shell code that keeps these variables from the user's programs.

The last one has the value of Hadoop's own scripts (``hadoop-functions.sh``), which NodeManagers pass on to all containers
(``yarn.nodemanager.admin-env``). Without it, glibc reserves 64 MiB of addresses for each of a program's first threads.
"""

SKEIN_HEARTBEAT = 5.0
"""Seconds between two requests of an idle application master to the ResourceManager, with Hadoop's defaults."""

HEARTBEAT_JAR = "yarnspawner-heartbeat.jar"
"""Name of the jar in the application master's container. Its class path has all jars of its working directory."""

# skein takes half of this, and at most its own interval. The ResourceManager reads the same property from its own file.
_HEARTBEAT_PROPERTY = "yarn.am.liveness-monitor.expiry-interval-ms"


def heartbeat_jar(interval: float) -> bytes:
    """Return a jar that changes how often an application master asks the ResourceManager.

    skein's master learns of new requests for containers only at its next heartbeat. Hadoop reads the old ``hadoop-site.xml``
    in addition to all other files, if there is one. A final value in it holds against ``yarn-default.xml``, which is read
    later. So no file of the node is replaced.

    Args:
        interval: seconds between two requests of an idle master, at most `SKEIN_HEARTBEAT`.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as jar:
        jar.writestr(
            "hadoop-site.xml",
            f"<configuration><property><name>{_HEARTBEAT_PROPERTY}</name><value>{round(interval * 2000)}</value>"
            "<final>true</final></property></configuration>",
        )
    return content.getvalue()
