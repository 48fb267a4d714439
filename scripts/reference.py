"""The reference page: every setting of the spawner, from its own help."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from jupyterhub.traitlets import ByteSpecification, Callable, Command
from traitlets import Bool, Dict, Enum, Float, Integer, List, Set, TraitType, Tuple, Unicode, Union

from yarnspawner.settings.hub import HubSettings
from yarnspawner.settings.profiles import ProfileSettings
from yarnspawner.settings.server import ServerSettings
from yarnspawner.settings.yarn import YarnSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"

HEAD = """\
# Settings

All settings of `c.YarnSpawner`, in addition to those of every JupyterHub spawner. `scripts/reference` writes this page from the
settings' own help, which `jupyterhub --help-all` shows as well. Settings without a version exist since 0.4.0. Three of
JupyterHub's own settings have other defaults: `start_timeout` is 300 seconds, `ip` is `"0.0.0.0"` and `env_keep` is empty.
"""

SECTIONS = [
    ("The hub on the cluster", HubSettings),
    ("Applications and containers", ServerSettings),
    ("Users' choices", ProfileSettings),
    ("YARN's features, and hooks", YarnSettings),
]

# The first that fits counts: some of them are subclasses of others.
TYPES: list[tuple[type[TraitType], str]] = [
    (ByteSpecification, "number of bytes, or text with a unit"),
    (Command, "text, or list of words"),
    (Bool, "`True` or `False`"),
    (Integer, "whole number"),
    (Float, "number"),
    (Unicode, "text"),
    (Callable, "callable"),
    (Set, "set"),
    (List, "list"),
    (Tuple, "tuple"),
    (Dict, "dict"),
]


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for title, settings in SECTIONS:
        parts.append(f"## {title}\n")
        traits = settings.class_own_traits(config=True)
        # In the order of the source, which has what belongs together side by side.
        parts += [entry(name, traits[name], getattr(settings(), name)) for name in vars(settings) if name in traits]
    return "\n".join(parts)


def entry(name: str, trait: TraitType, default: object) -> str:
    """A setting's part of the page."""
    if isinstance(trait, ByteSpecification):
        default = trait.default_value  # as it is written
    return f"### `{name}`\n\n*Type:* {kind(trait)}. *Default:* {shown(default)}\n\n{markdown(str(trait.help))}\n"


def kind(trait: TraitType) -> str:
    """A trait's type, in words."""
    if isinstance(trait, Union):
        return " or ".join(kind(one) for one in trait.trait_types)
    if isinstance(trait, Enum):
        return " or ".join(f'`"{value}"`' for value in trait.values or ())
    return next(words for type_, words in TYPES if isinstance(trait, type_))


def shown(default: object) -> str:
    """A default, in words or as Python."""
    if default is None or (not default and not isinstance(default, int)):
        return "none."
    return f"`{default!r}`"


def markdown(text: str) -> str:
    """A help text, which is reStructuredText of the simplest kind, as Markdown."""
    text = inspect.cleandoc(text)
    text = re.sub(r":attr:`(\w+)`", lambda found: f"[`{found[1]}`](#{found[1]})", text)
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    text = re.sub(r"^\.\. versionadded:: (\S+)$", r"*Added in version \1.*", text, flags=re.MULTILINE)
    text = re.sub(r"^\.\. versionchanged:: (\S+)\n +", r"*Changed in version \1:* ", text, flags=re.MULTILINE)
    return re.sub(r"::\n\n((?: {4}.*(?:\n|$)|\n)+)", _code, text).strip()


def _code(block: re.Match[str]) -> str:
    return f":\n\n```python\n{inspect.cleandoc(block[1])}\n```\n\n"


def main() -> int:
    """Write the page, or check that it is as it should be."""
    if "--check" not in sys.argv:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        print("docs/reference.md is not what the settings say; run scripts/reference", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
