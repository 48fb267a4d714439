"""Templates in what an admin wrote: ``{username}``, ``{servername}``."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Any


class TemplateError(ValueError):
    """A template that names what there is not, or asks for more than a name."""


def template_fields(user: Any, servername: str) -> dict[str, str]:
    """What templates may name.

    Args:
        user: of JupyterHub.
        servername: of the server, "" for the user's default one.
    """
    username = user.escaped_name
    return {
        "username": username,
        "unescaped_username": user.name,
        "servername": servername,
        "user_server": f"{username}--{servername}" if servername else username,
        "groups": ",".join(sorted(group.name for group in user.groups)),
    }


class _NamesOnly(string.Formatter):
    # str.format() would also follow attributes and items ({0.__class__}), which reach far into the hub.
    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        if field_name not in kwargs:
            known = ", ".join(f"{{{name}}}" for name in sorted(kwargs))
            raise TemplateError(f"unknown field {{{field_name}}}; there are {known}")
        return kwargs[field_name], field_name


def expand(template: str, fields: Mapping[str, str]) -> str:
    """Fill in a template's fields.

    Only what an admin wrote may be expanded, never what a user typed, and only once.

    Args:
        template: text with ``{name}`` fields; ``{{`` and ``}}`` stand for braces.
        fields: what each name stands for.

    Raises:
        TemplateError: an unknown field, or braces that do not match.
    """
    try:
        return _NamesOnly().vformat(template, (), fields)
    except TemplateError as error:
        raise TemplateError(f"in the template {template!r}: {error}") from None
    except (ValueError, IndexError, KeyError) as error:
        raise TemplateError(f"the template {template!r} cannot be read: {error}") from None


def substitute(text: str, fields: Mapping[str, str], *, quoted: Callable[[str], str] = str) -> str:
    """Fill in the fields of a text that has braces of its own: shell, JSON.

    Args:
        text: what an admin wrote. All braces but those of a known field stay as they are, and so do those after a
            dollar, which are the shell's, and doubled ones.
        fields: what each name stands for.
        quoted: makes a value a word of the text's language; :func:`shlex.quote` for shell.
    """
    names = "|".join(map(re.escape, fields))
    return re.sub(rf"(?<![${{]){{({names})}}(?!}})", lambda match: quoted(fields[match[1]]), text)
