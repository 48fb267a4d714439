"""Read the properties of one of Hadoop's XML files, such as core-site.xml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

_INCLUDE = "{http://www.w3.org/2001/XInclude}include"
_FALLBACK = "{http://www.w3.org/2001/XInclude}fallback"
# Files within files; also stops a file that includes itself.
_DEPTH = 20


class SiteFileError(Exception):
    """A file cannot be read. The message names it and the reason."""


@dataclass(frozen=True)
class Property:
    """A property as a file has it: with variables, and with spaces around the value."""

    name: str
    value: str
    final: bool = False


def properties_of(file: Path) -> Iterator[Property]:
    """Yield the properties of a file and of the files that it includes, in order.

    Raises:
        SiteFileError: a file cannot be read.
    """
    yield from _properties(_parse(file), file, _DEPTH)


def _parse(file: Path) -> ET.Element:
    try:
        return ET.parse(file).getroot()  # noqa: S314 - a trusted file of the admin
    # LookupError: an encoding that Python does not have.
    except (OSError, ValueError, LookupError, ET.ParseError) as error:
        raise SiteFileError(f"{file} cannot be read: {error}") from None


def _properties(element: ET.Element, file: Path, depth: int) -> Iterator[Property]:
    for child in element:
        if child.tag == "property":
            name, value = _field(child, "name"), _field(child, "value")
            if name is not None and value is not None:
                yield Property(name.strip(), value, (_field(child, "final") or "").strip().lower() == "true")
        elif child.tag == _INCLUDE:
            yield from _included(child, file, depth)
        else:
            yield from _properties(child, file, depth)


def _field(element: ET.Element, name: str) -> str | None:
    # Hadoop reads attributes as well: <property name="..." value="..."/>.
    text = element.findtext(name)
    return element.get(name) if text is None else text


def _included(element: ET.Element, file: Path, depth: int) -> Iterator[Property]:
    url = urlsplit(element.get("href", ""))
    path = file.parent / unquote(url.path)
    fallback = element.find(_FALLBACK)
    if url.scheme not in ("", "file") or not url.path or not depth:
        raise SiteFileError(f"{file} cannot be read: it includes {element.get('href')!r}")
    # As in Hadoop, the fallback counts only if the file does not exist.
    if fallback is not None and not path.exists():
        yield from _properties(fallback, file, depth)
    else:
        yield from _properties(_parse(path), path, depth - 1)
