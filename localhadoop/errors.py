"""What goes wrong in a way that a person can act on."""

from __future__ import annotations


class LocalHadoopError(Exception):
    """One line for the person at the terminal: what is wrong, and what to do about it.

    The command line prints it and leaves with status 1; it never carries a traceback.
    """
