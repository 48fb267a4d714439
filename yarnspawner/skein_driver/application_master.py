"""skein's application master: a Java process that holds the key-value store, and what it is started with."""

MEMORY = 256
"""MiB that it lives in, the least: it takes about 130 when idle, and skein gives it a heap of 128 at most."""

JAVA_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData"
    # What is verified is Hadoop and skein, not the user's; it would load classes that nobody needs.
    " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
    # For a store that is asked some times a second, and not for the 16 MiB that its server keeps ready otherwise.
    " -Dcom.anaconda.skein.shaded.io.netty.allocator.type=unpooled"
    " -Xms8m -Xmn4m"
)
"""It starts in half the time, in little more than half the memory (see docs/performance.md)."""
