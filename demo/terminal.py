"""What the demo says on the terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from localhadoop.progress import ConsoleProgress

Tell = Callable[[str], None]


class Terminal(ConsoleProgress):
    """Lines with the seconds since the beginning, those of the cluster among them."""

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[Tell]:
        """Print a step when it is done, with the seconds that it took and its result, if any."""
        results: list[str] = []
        began = time.monotonic()
        try:
            yield results.append
        except BaseException:
            self.step(f"{name}: failed after {time.monotonic() - began:.1f} s")
            raise
        self.step(f"{name}: {', '.join([*results, f'{time.monotonic() - began:.1f} s'])}")
