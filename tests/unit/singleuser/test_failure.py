"""The recipe's error stream."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from yarnspawner.singleuser.failure import Tail


def test_log_in_signal_handler() -> None:
    """A signal handler can log during a write; with Python's own stream, a RuntimeError would hide the SIGTERM."""
    reader, writer = os.pipe()
    stream = Tail(os.fdopen(writer, "w"))
    handled: list[str] = []
    read: list[bytes] = []

    def handler(_number: int, _frame: object) -> None:
        stream.write("handled\n")
        stream.flush()
        handled.append("to its end")

    def drain() -> None:
        # The handler runs while the main thread waits in a write to the full pipe.
        os.kill(os.getpid(), signal.SIGUSR1)
        while b"end" not in b"".join(read[-2:]):
            time.sleep(0.01)
            read.append(os.read(reader, 1 << 16))

    before = signal.signal(signal.SIGUSR1, handler)
    other = threading.Timer(0.2, drain)
    other.start()
    try:
        stream.write("x" * (1 << 20) + "end\n")
        stream.flush()
    finally:
        other.join(20)
        signal.signal(signal.SIGUSR1, before)
    assert handled == ["to its end"]
    assert "handled" in stream.text
    stream.close()
    os.close(reader)


def test_tail_is_kept(tmp_path: Path) -> None:
    """The stream keeps the end of the text, and the file has all of it."""
    with (tmp_path / "log").open("w") as file:
        stream = Tail(file, size=5)
        stream.write("abc")
        stream.write("defg")
    assert stream.text == "cdefg"
    assert (tmp_path / "log").read_text() == "abcdefg"
