"""Exit of the recipe's process."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


class FastExit:
    """Exit without destroying all imported modules, which would delay a user's stop by half a second.

    - what is to be done at an exit is done as always: threads are waited for, `atexit` calls what was registered, and
      what was written is written out
    - to be made before others register themselves, since `atexit` calls the first of them last
    """

    def __init__(self) -> None:
        self._status: int | None = None
        atexit.register(self._leave)

    def __call__(self, status: int) -> NoReturn:
        """End the process with this exit status. Raises SystemExit, as `sys.exit` does."""
        self._status = status
        sys.exit(status)

    def _leave(self) -> None:
        if self._status is None:
            return  # it ends in another way, which Python knows how to tell
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(self._status)
