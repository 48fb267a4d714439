"""Text of an admin in which a node's shell fills in its own variables, as YARN did for version 0.4.0."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from yarnspawner.common.string_templates import split_fields, substitute

_VARIABLE = re.compile(
    r"(?P<escaped>\\)?\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})|\{\{(?P<yarn>[A-Za-z_]\w*)\}\}"
)
# "./name" alone, or in a list such as PYTHONPATH: in the text's first part, and in later ones.
_IN_CONTAINER = re.compile(r"(?:\A|(?<=:))\./")
_IN_CONTAINER_LATER = re.compile(r"(?<=:)\./")
_QUOTED_VALUE = re.compile(r"""\A(?P<option>--?\w[\w.-]*=)(?P<quote>["'])(?P<value>.*)(?P=quote)\Z""", re.DOTALL)


class NodeText(str):
    """A value of ``environment`` that an admin wrote. All other text is literal.

    The text itself has the values of its fields. In them, nothing is filled in: users' names may have the form of variables.

    Attributes:
        written: the text with its fields.
        fields: value of each field by its name.
    """

    __slots__ = ("fields", "written")

    written: str
    fields: Mapping[str, str]

    @classmethod
    def of(cls, written: str, fields: Mapping[str, str]) -> NodeText:
        """Return a text with fields; without any if ``fields`` is empty."""
        text = cls(substitute(written, fields) if fields else written)
        text.written, text.fields = written, fields
        return text

    def quoted(self) -> str:
        """Return the value as a word of the shell. ``./`` is the container's folder: Jupyter runs kernels in other folders."""
        words: list[str] = []
        for part, is_field in split_fields(self.written, self.fields) if self.fields else [(self.written, False)]:
            words += (
                [shlex.quote(self.fields[part])]
                if is_field
                else _words(part, _IN_CONTAINER_LATER if words else _IN_CONTAINER)
            )
        return "".join(words) or "''"


def node_quoted(text: str) -> str:
    r"""Return a word of the shell in which the node's variables are filled in, and nothing else.

    - ``$NAME`` and ``${NAME}`` are the node's variable. If the node does not have it, they stay as they are.
    - ``{{NAME}}``, YARN's own way to write it, is the same.
    - ``\$NAME`` is the text ``$NAME``.

    Args:
        text: what an admin wrote.
    """
    return "".join(_words(text, None)) or "''"


def argument(text: str) -> str:
    """Return an argument of the server as a word of the shell.

    As in version 0.4.0, quotes around an option's value are the shell's, and the node's variables are filled in.
    """
    found = _QUOTED_VALUE.fullmatch(text)
    return node_quoted(f"{found['option']}{found['value']}" if found else text)


def _words(text: str, folder: re.Pattern[str] | None) -> list[str]:
    """Return a text in parts that the shell takes for one word. A pattern finds the paths in the container's folder."""
    words: list[str] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        words.append(_literal(text[end : found.start()], folder))
        end = found.end()
        folder = folder and _IN_CONTAINER_LATER
        if found["escaped"]:
            words.append(shlex.quote(found[0][1:]))
        elif found["plain"]:
            words.append(f'"${{{found["plain"]}-\\${found["plain"]}}}"')
        elif found["yarn"]:
            words.append(f'"${{{found["yarn"]}-{{{{{found["yarn"]}\\}}\\}}}}"')
        else:
            words.append(f'"${{{found["braced"]}-\\${{{found["braced"]}\\}}}}"')
    words.append(_literal(text[end:], folder))
    return words


def _literal(text: str, folder: re.Pattern[str] | None) -> str:
    if not text:
        return ""
    if folder is None:
        return shlex.quote(text)
    first, *others = folder.split(text)
    return '"$PWD"/'.join([first and shlex.quote(first), *(other and shlex.quote(other) for other in others)])
