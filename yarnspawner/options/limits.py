"""Read and check the limits that users choose, from a range or a list. Pure: no I/O, no hub, no cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from yarnspawner.common.units import UNITS, shown, text, title

GIBIBYTE = 2**30

# JSON numbers can be too large for a float. This is the limit of the kernel and of YARN.
_LARGEST = 2**63 - 1

_BYTES = re.compile(r"(\d{1,15}(?:\.\d{1,30})?)\s*([KMGT]?)", re.ASCII)

NUMBERS = frozenset({"mem_limit", "cpu_limit", "gpus"})


class ChoiceRefused(ValueError):
    """Refuse a user's choice. The message is for the user and names the choice."""


class ProfileError(ValueError):
    """Report an invalid offer of the admin. The message says where the error is."""


@dataclass(frozen=True)
class Limit:
    """The values that a user may choose for one setting: a range or a list.

    Attributes:
        name: the setting's name.
        minimum: lowest value of the range; memory in bytes.
        maximum: highest value of the range; None for the cluster's maximum.
        values: the list; empty for a range.
    """

    name: str
    minimum: int = 0
    maximum: int | None = None
    values: tuple[int | str, ...] = ()

    @classmethod
    def read(cls, name: str, written: Any) -> Limit | None:
        """Parse the admin's ``<name>_choices``. Return None if it offers nothing.

        Args:
            name: the setting's name.
            written: a list of values, or ``{"minimum": ..., "maximum": ...}`` for a number.

        Raises:
            ProfileError: it is neither of these.
        """
        if not written:
            return None
        try:
            if isinstance(written, Mapping):
                return cls._read_range(name, written)
            if isinstance(written, (list, tuple)):
                return cls(name, values=tuple(dict.fromkeys(parse(name, value) for value in written)))
        except ChoiceRefused as error:
            raise ProfileError(f"{name}_choices: {error}") from None
        raise ProfileError(f"{name}_choices: neither a list nor a range: {shown(written)}.")

    @classmethod
    def _read_range(cls, name: str, written: Mapping[str, Any]) -> Limit:
        if name not in NUMBERS:
            raise ProfileError(f"{name}_choices: there is no range of names; write a list.")
        if unknown := [key for key in written if key not in ("minimum", "maximum")]:
            raise ProfileError(f"{name}_choices: unknown key {unknown[0]!r}; a range has minimum and maximum.")
        least = parse_number(name, written.get("minimum", 0 if name == "gpus" else 1))
        upper_bound = written.get("maximum")
        upper_bound = None if upper_bound is None else parse_number(name, upper_bound)
        if upper_bound is not None and least > upper_bound:
            raise ProfileError(f"{name}_choices: the minimum {text(name, least)} is above the maximum.")
        return cls(name, least, upper_bound)

    def check(self, asked: Any, cluster_maximum: int | None = None) -> int | str:
        """Check a user's choice, and return the setting's value.

        Args:
            asked: the value from a form or the REST API, of any type.
            cluster_maximum: the cluster's maximum for one server; None if unknown.

        Raises:
            ChoiceRefused: the value is not on the list or out of range.
        """
        value = parse(self.name, asked)
        if self.values:
            if value not in self.values:
                offered = ", ".join(text(self.name, offer) for offer in self.values)
                raise ChoiceRefused(f"{self._title}: {text(self.name, value)} is not offered; choose from {offered}.")
        elif isinstance(value, int):
            if value < self.minimum:
                raise self._refusal(value, "less", self.minimum, "that you must ask for at least")
            if self.maximum is not None and value > self.maximum:
                raise self._refusal(value, "more", self.maximum, "that you may have")
        check_cluster_maximum(self.name, value, cluster_maximum)
        return value

    def upper_bound(self, cluster_maximum: int | None) -> int | None:
        """Return the lower of the range's maximum and the cluster's ``cluster_maximum``; None if there is no maximum."""
        return min((end for end in (self.maximum, cluster_maximum) if end is not None), default=None)

    def offered(self, cluster_maximum: int | None) -> list[int | str]:
        """Return the list without values above the cluster's ``cluster_maximum``."""
        return [
            value
            for value in self.values
            if not (cluster_maximum is not None and isinstance(value, int) and value > cluster_maximum)
        ]

    @property
    def _title(self) -> str:
        return title(self.name)

    def _refusal(self, value: int, comparison: str, bound: int, what: str) -> ChoiceRefused:
        name = self.name
        return ChoiceRefused(f"{self._title}: {text(name, value)} is {comparison} than the {text(name, bound)} {what}.")


def check_cluster_maximum(name: str, value: int | str, cluster_maximum: int | None) -> None:
    """Check a value against the cluster's maximum for one server.

    Raises:
        ChoiceRefused: the value is above the maximum. The message names both.
    """
    if cluster_maximum is not None and isinstance(value, int) and value > cluster_maximum:
        raise ChoiceRefused(
            f"{title(name)}: {text(name, value)} is more than the {text(name, cluster_maximum)} that the cluster gives to one"
            " server."
        )


def parse(name: str, asked: Any) -> int | str:
    """Return a setting's value: memory in bytes, other numbers as integers, names unchanged.

    Raises:
        ChoiceRefused: the value is not valid for the setting.
    """
    if name in NUMBERS:
        return parse_number(name, asked)
    if isinstance(asked, str):
        return asked
    raise ChoiceRefused(f"{title(name)}: {shown(asked)} is not a name.")


def parse_number(name: str, asked: Any) -> int:
    """Return a number that can be given as text; memory can have a unit.

    Raises:
        ChoiceRefused: it is not a valid number.
    """
    if isinstance(asked, int) and not isinstance(asked, bool) and 0 <= asked <= _LARGEST:
        return asked
    if name == "mem_limit":
        if isinstance(asked, str) and (match := _BYTES.fullmatch(asked.strip())):
            size = int(Fraction(match[1]) * UNITS[match[2]])
            if size <= _LARGEST:
                return size
        raise ChoiceRefused(f'{title(name)}: {shown(asked)} is not a size; write for instance "4 G".')
    if isinstance(asked, str) and re.fullmatch(r"\d{1,9}", asked.strip(), re.ASCII):
        return int(asked.strip())
    raise ChoiceRefused(f"{title(name)}: {shown(asked)} is not a whole number.")
