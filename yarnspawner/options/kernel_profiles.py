"""Read ``kernel_profiles`` and ``kernel_limit``, with a message for each error. Pure: no I/O, no hub, no cluster."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yarnspawner.common.kernel_protocol import KernelSize
from yarnspawner.common.units import UNITS, shown
from yarnspawner.options.limits import ChoiceRefused, ProfileError, parse_number
from yarnspawner.options.profile_list import read_audience, slug_of
from yarnspawner.options.profiles import Audience

_KEYS = frozenset(
    "display_name slug kernel memory vcores gpus node_label environment warm_kernels allowed_users allowed_groups".split()
)


@dataclass(frozen=True)
class KernelProfile:
    """A size of kernels, as the admin declares it.

    Attributes:
        size: what the user's server needs to know.
        node_label: node label expression; "" for the server's.
        environment: archive or folder of the kernel's own environment; "" for the server's.
        audience: the users that it is offered to.
    """

    size: KernelSize
    node_label: str = ""
    environment: str = ""
    audience: Audience = field(default_factory=Audience)


def read_kernel_profiles(written: Any) -> list[KernelProfile]:
    """Return the profiles of a ``kernel_profiles``.

    Raises:
        ProfileError: the list is invalid. The message says where.
    """
    if not isinstance(written, (list, tuple)):
        raise ProfileError(f"kernel_profiles is not a list: {shown(written)}.")
    profiles = [_profile(f"kernel_profiles[{index}]", entry) for index, entry in enumerate(written)]
    slugs = [profile.size.slug for profile in profiles]
    if twice := [slug for slug in slugs if slugs.count(slug) > 1]:
        raise ProfileError(f"kernel_profiles: two profiles have the slug {twice[0]!r}; give them slugs of their own.")
    return profiles


def read_kernel_limit(written: Any) -> tuple[int, int]:
    """Return the most kernels and the most memory in MiB of a ``kernel_limit``; 0 for no limit.

    Raises:
        ProfileError: it is invalid.
    """
    if not isinstance(written, Mapping) or written.keys() - {"containers", "memory"}:
        raise ProfileError(f"kernel_limit is not a dict with the keys containers and memory: {shown(written)}.")
    return (
        _number("kernel_limit", "containers", written.get("containers", 0)),
        _memory("kernel_limit", written.get("memory", 0)),
    )


def _profile(where: str, written: Any) -> KernelProfile:
    if not isinstance(written, Mapping):
        raise ProfileError(f"{where} is not a dict: {shown(written)}.")
    if unknown := written.keys() - _KEYS:
        raise ProfileError(f"{where}: there is no key {shown(min(unknown, key=str))}.")
    texts = {key: written.get(key, "") for key in ("display_name", "node_label", "environment")}
    texts["kernel"] = written.get("kernel", "python3")
    for key, value in texts.items():
        if not isinstance(value, str) or (value and not value.isprintable()):
            raise ProfileError(f"{where}: {key} is not a line of text: {shown(value)}.")
    memory = _memory(where, written.get("memory", 0))
    if not memory:
        raise ProfileError(f"{where} has no memory.")
    vcores, gpus = (_number(where, key, written.get(key, least)) for key, least in (("vcores", 1), ("gpus", 0)))
    if not vcores:
        raise ProfileError(f"{where}: vcores is 0.")
    own_environment = bool(texts["environment"])
    warm = _number(where, "warm_kernels", written.get("warm_kernels", 0))
    size = KernelSize("", texts["kernel"], texts["display_name"], memory, vcores, gpus, own_environment, warm)
    slug = written.get("slug", slug_of(f"{size.display_name or size.kernelspec} {size.text}"))
    if not isinstance(slug, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", slug):
        raise ProfileError(f"{where}: the slug {shown(slug)} is not made of small letters, digits and '-'.")
    return KernelProfile(
        size=KernelSize(**{**vars(size), "slug": slug}),
        node_label=texts["node_label"],
        environment=texts["environment"],
        audience=read_audience(where, written),
    )


def _memory(where: str, written: Any) -> int:
    return math.ceil(_parsed(where, "memory", "mem_limit", written) / UNITS["M"])


def _number(where: str, key: str, written: Any) -> int:
    return _parsed(where, key, "cpu_limit", written)


def _parsed(where: str, key: str, kind: str, written: Any) -> int:
    try:
        return parse_number(kind, written)
    except ChoiceRefused:
        expected = 'a size such as "4 G"' if kind == "mem_limit" else "a whole number"
        raise ProfileError(f"{where}: {key} is not {expected}: {shown(written)}.") from None
