"""Memory and Java options of skein's application master, the Java process that serves the key-value store."""

MEMORY = 256
"""Minimum memory in MiB. An idle application master uses about 130 MiB; skein limits its heap to 128 MiB."""

JAVA_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData"
    # Only Hadoop's and skein's classes run here. Verification would load additional classes.
    " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
    # The store gets a few requests a second, so it does not need the 16 MiB that netty's pool allocates.
    " -Dcom.anaconda.skein.shaded.io.netty.allocator.type=unpooled"
    " -Xms8m -Xmn4m"
)
"""With these options, the start takes half the time and little more than half the memory (see docs/performance.md)."""
