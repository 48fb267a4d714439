"""How a cluster says what it is doing while it starts."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Advance = Callable[[int], None]


class Progress:
    """Receives the steps of a start. This one keeps silent; a subclass shows them.

    ``advance`` of :meth:`downloading` is called from several threads.
    """

    def step(self, text: str) -> None:
        """A step begins; ``text`` is one line in a person's words."""

    @contextlib.contextmanager
    def downloading(self, label: str, total: int) -> Iterator[Advance]:
        """Downloads of ``total`` bytes are in progress; the yielded callable takes the bytes that arrived."""
        yield lambda count: None


class ConsoleProgress(Progress):
    """Steps as lines with the time since the beginning, downloads as a bar (tqdm, where it is installed)."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def step(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    @contextlib.contextmanager
    def downloading(self, label: str, total: int) -> Iterator[Advance]:
        try:
            from tqdm import tqdm
        except ImportError:
            # A fresh clone with a bare Python shall work too: the bar is the only thing that tqdm is for.
            self.step(f"{label}: {total / 1e6:.0f} MB")
            yield lambda count: None
            return
        bar = tqdm(total=total, desc=label, unit="B", unit_scale=True, unit_divisor=1000, file=sys.stdout, leave=True)
        with bar:
            yield bar.update
