"""A real Hadoop on one machine, with or without Kerberos."""

from localhadoop.cluster import LocalHadoop
from localhadoop.daemons import Daemon
from localhadoop.errors import LocalHadoopError
from localhadoop.progress import ConsoleProgress, Progress

__all__ = ["ConsoleProgress", "Daemon", "LocalHadoop", "LocalHadoopError", "Progress"]
