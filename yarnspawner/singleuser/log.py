"""Limit the size of the container's log.

YARN neither rotates nor limits what a container writes to its output, and a cell that prints for a night fills the node's
disk. What the recipe, its kernels and all that they start write goes to one file in the container's log folder, and that
file is shortened in place.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from contextlib import suppress

LIMIT_VARIABLE = "YARNSPAWNER_LOG_LIMIT"

# MiB.
_DEFAULT_LIMIT = 100
_MEBIBYTE = 1 << 20
_CHUNK = 1 << 20
# Seconds between two looks: a disk takes some ten MiB in that time, a fast one a hundred. While there is room for more,
# looks are rarer, since each wakes up the processor.
_INTERVAL = 0.2
_LONGEST_INTERVAL = 1.0
# MiB that a disk takes in a second.
_FASTEST = 200


class Log:
    """A log file that is shortened in place when it exceeds its limit.

    - nothing stands between it and who writes, so writing costs what it did, and no last word is lost with a container
      that is killed
    - a quarter of the limit is kept from the beginning, at least another from the end; a line between them says how much
      was left out
    - what is written in the microsecond in which it is shortened may be lost as well
    """

    def __init__(self, output: int, limit: int) -> None:
        """Take an open file and its limit in bytes.

        Raises:
            OSError: it cannot be read or changed.
        """
        self._limit = limit
        # All processes with the file open share the flag, including the shell that runs the recipe. Without it, each
        # continues to write at its old position.
        fcntl.fcntl(output, fcntl.F_SETFL, fcntl.fcntl(output, fcntl.F_GETFL) | os.O_APPEND)
        # A second descriptor of the same file, which writes at any position.
        self._file = os.open(f"/proc/self/fd/{output}", os.O_RDWR | os.O_CLOEXEC)
        self._head = 0
        self._left_out = 0

    def shorten(self) -> float:
        """Remove the middle of the file if it exceeds its limit. Return the seconds that filling the rest takes at least."""
        size = os.fstat(self._file).st_size
        if size <= self._limit:
            return (self._limit - size) / (_FASTEST * _MEBIBYTE)
        self._head = self._head or self._after_line(self._limit // 4)
        source = self._after_line(size - self._limit // 4)
        self._left_out += source - self._head
        target = self._head + self._write(self._notice(), self._head)
        # Includes text that is written during the copy, as far as it fits.
        while target < self._limit and (chunk := os.pread(self._file, _CHUNK, source)):
            source += len(chunk)
            target += self._write(chunk, target)
        self._left_out += max(os.fstat(self._file).st_size - source, 0)
        os.ftruncate(self._file, target)
        return 0

    def close(self) -> None:
        os.close(self._file)

    def _notice(self) -> bytes:
        left_out, limit = self._left_out // _MEBIBYTE, self._limit // _MEBIBYTE
        return (
            f"\n[yarnspawner: {left_out} MiB of the log were left out here; it is limited to about {limit} MiB]\n\n"
        ).encode()

    def _after_line(self, position: int) -> int:
        """Return the end of the line at this position; the position itself if the line is long."""
        end = os.pread(self._file, 4096, position).find(b"\n")
        return position + end + 1

    def _write(self, content: bytes, position: int) -> int:
        written = 0
        while written < len(content):
            written += os.pwrite(self._file, content[written:], position + written)
        return written


class LogLimit:
    """Keep the log of this process's container within $YARNSPAWNER_LOG_LIMIT (MiB; 0 for no limit).

    Outputs that are no files, such as terminals and pipes, are not changed.
    """

    def __init__(self) -> None:
        limit = _limit()
        self._logs: list[Log] = []
        for output in _files() if limit else []:
            with suppress(OSError):
                self._logs.append(Log(output, limit * _MEBIBYTE))

    def keep(self) -> float:
        """Check the size once. Called repeatedly. Return the seconds until the next look is necessary."""
        pause = _LONGEST_INTERVAL
        for log in self._logs:
            # The disk may be full of other things, and the next look comes soon.
            with suppress(OSError):
                pause = min(pause, log.shorten())
        return max(pause, _INTERVAL)

    def watch(self) -> None:
        """Check the size repeatedly, in a daemon thread."""
        if self._logs:
            threading.Thread(target=self._watch, name="yarnspawner-log", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(self.keep()):
            pass


def _limit() -> int:
    try:
        return max(int(os.environ.get(LIMIT_VARIABLE, _DEFAULT_LIMIT)), 0)
    except ValueError:
        return _DEFAULT_LIMIT


def _files() -> list[int]:
    """Return the descriptors of stdout and stderr that are files, each file once."""
    found: dict[tuple[int, int], int] = {}
    for output in (1, 2):
        with suppress(OSError):
            facts = os.fstat(output)
            if stat.S_ISREG(facts.st_mode):
                found.setdefault((facts.st_dev, facts.st_ino), output)
    return list(found.values())
