"""Templates in an admin's settings: ``{username}``, ``{servername}``."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class TemplateError(ValueError):
    """A template has an unknown field, or a field that is more than a name."""


def template_fields(user: Any, servername: str) -> dict[str, str]:
    """Return the value of each field that templates may use.

    Args:
        user: JupyterHub's user.
        servername: the server's name, "" for the user's default server.
    """
    username = user.escaped_name
    return {
        "username": username,
        "unescaped_username": user.name,
        "queue_username": queue_username(user.name),
        "servername": servername,
        "user_server": f"{username}--{servername}" if servername else username,
        "groups": ",".join(sorted(group.name for group in user.groups)),
    }


def queue_username(name: str) -> str:
    """Return a user's name as YARN writes it in queues of users, whose names have no dots.

    The FairScheduler and the placement rules of the CapacityScheduler do so.
    """
    return name.strip().replace(".", "_dot_")


class _NamesOnly(string.Formatter):
    # str.format() also follows attributes and items ({0.__class__}), which would expose internals of the hub.
    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        if field_name not in kwargs:
            valid = ", ".join(f"{{{name}}}" for name in sorted(kwargs))
            raise TemplateError(f"unknown field {{{field_name}}}; valid fields are {valid}")
        return kwargs[field_name], field_name


def render_strict(template: str, fields: Mapping[str, str]) -> str:
    """Replace the fields of a template and refuse unknown ones.

    Render only text that an admin wrote, never a user's input, and only once.

    Args:
        template: text with ``{name}`` fields. ``{{`` and ``}}`` are literal braces.
        fields: value of each field by its name.

    Raises:
        TemplateError: the template has an unknown field or unbalanced braces.
    """
    try:
        return _NamesOnly().vformat(template, (), fields)
    except TemplateError as error:
        raise TemplateError(f"in the template {template!r}: {error}") from None
    except (ValueError, IndexError, KeyError) as error:
        raise TemplateError(f"the template {template!r} is invalid: {error}") from None


def substitute(text: str, fields: Mapping[str, str], *, quoted: Callable[[str], str] = str) -> str:
    """Replace known fields in a text that uses braces itself, such as shell or JSON.

    Args:
        text: text that an admin wrote. Other braces stay as they are: unknown fields, ``${...}`` and doubled braces.
        fields: value of each field by its name.
        quoted: escapes a value for the text's language, such as :func:`shlex.quote` for shell.
    """
    return "".join(quoted(fields[part]) if field else part for part, field in split_fields(text, fields))


def split_fields(text: str, fields: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Split such a text. Yield its parts, and if each is a field's name; other parts are as they were written."""
    names = "|".join(map(re.escape, fields))
    for number, part in enumerate(re.split(rf"(?<![${{]){{({names})}}(?!}})", text)):
        yield part, bool(number % 2)
