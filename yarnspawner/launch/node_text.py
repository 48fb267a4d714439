"""Text of an admin in which a node's shell fills in its own variables, as YARN did for version 0.4.0."""

from __future__ import annotations

import re
import shlex

_VARIABLE = re.compile(
    r"(?P<escaped>\\)?\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})|\{\{(?P<yarn>[A-Za-z_]\w*)\}\}"
)
# "./name" alone, or in a list such as PYTHONPATH.
_IN_CONTAINER = re.compile(r"(?:^|(?<=:))\./")
_QUOTED_VALUE = re.compile(r"""\A(?P<option>--?\w[\w.-]*=)(?P<quote>["'])(?P<value>.*)(?P=quote)\Z""", re.DOTALL)


class NodeText(str):
    """A value of ``environment`` that an admin wrote. All other text is literal."""

    __slots__ = ()


def node_quoted(text: str, *, paths: bool = False) -> str:
    r"""Return a word of the shell in which the node's variables are filled in, and nothing else.

    - ``$NAME`` and ``${NAME}`` are the node's variable. If the node does not have it, they stay as they are.
    - ``{{NAME}}``, YARN's own way to write it, is the same.
    - ``\$NAME`` is the text ``$NAME``.

    Args:
        text: what an admin wrote.
        paths: True if ``./`` is the container's folder. Jupyter runs kernels in other folders.
    """
    words, end = [], 0
    for found in _VARIABLE.finditer(text):
        words.append(_literal(text[end : found.start()], paths=paths and not end))
        end = found.end()
        if found["escaped"]:
            words.append(shlex.quote(found[0][1:]))
        elif found["plain"]:
            words.append(f'"${{{found["plain"]}-\\${found["plain"]}}}"')
        elif found["yarn"]:
            words.append(f'"${{{found["yarn"]}-{{{{{found["yarn"]}\\}}\\}}}}"')
        else:
            words.append(f'"${{{found["braced"]}-\\${{{found["braced"]}\\}}}}"')
    words.append(_literal(text[end:], paths=paths and not end))
    return "".join(words) or "''"


def argument(text: str) -> str:
    """Return an argument of the server as a word of the shell.

    As in version 0.4.0, quotes around an option's value are the shell's, and the node's variables are filled in.
    """
    found = _QUOTED_VALUE.fullmatch(text)
    return node_quoted(f"{found['option']}{found['value']}" if found else text)


def _literal(text: str, *, paths: bool) -> str:
    if not text:
        return ""
    if not paths:
        return shlex.quote(text)
    first, *others = _IN_CONTAINER.split(text)
    return '"$PWD"/'.join([first and shlex.quote(first), *(other and shlex.quote(other) for other in others)])
