"""Make text from others fit for a page, a log or a terminal.

YARN's diagnostics, a container's log and a user's input may have control characters, secrets and megabytes. A page must
still escape the result.
"""

from __future__ import annotations

import re

_OMISSION = "\n[...]\n"

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.DOTALL)
_JAVA_STACK = re.compile(r"^[ \t]+(?:at [\w$./<>]+\(.*\)|\.\.\. \d+ more)[ \t]*(?:\n|\Z)", re.MULTILINE)
# yarnspawner never writes a secret there, but a user's prologue or a server extension may.
_SECRET = re.compile(
    r"""((?:token|password|passwd|secret|cookie|authorization)["']?\s*[=:]\s*["']?(?:bearer\s+|token\s+)?)[^\s"'&]+""",
    re.IGNORECASE,
)


def sanitize(text: str, limit: int, *, keep_stack: bool = False) -> str:
    """Return the text without control characters (newlines stay), Java stack traces and secrets, truncated.

    Args:
        text: any text.
        limit: maximum length in characters; see `truncate`.
        keep_stack: keep Java stack traces, for callers that look for their beginning.
    """
    text = _ESCAPE_SEQUENCE.sub("", truncate(text, 4 * limit))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = (text if keep_stack else _JAVA_STACK.sub("", text)).replace("\t", "    ")
    text = "".join(char for char in text if char == "\n" or char.isprintable())
    return truncate(_SECRET.sub(r"\1[...]", text).strip(), limit)


def one_line(text: str, limit: int) -> str:
    """Return the sanitized text as one line; see `sanitize`."""
    return sanitize(text, limit).replace("\n", " ")


def truncate(text: str, limit: int) -> str:
    """Return a longer text with its middle left out: causes stand at the beginning or at the end.

    Args:
        text: any text.
        limit: maximum length in characters, without the line that marks the omission.
    """
    return text if len(text) <= limit else f"{text[: limit // 2].rstrip()}{_OMISSION}{text[-limit // 2 :].lstrip()}"


def printable(text: str) -> str:
    """Return the text with a space in place of each control, format or line-end character."""
    return "".join(char if char.isprintable() else " " for char in text)
