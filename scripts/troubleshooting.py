"""The troubleshooting page: every cause of the catalogue, with its code and remedies."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from yarnspawner.diagnosis.catalogue import rows_by_code
from yarnspawner.diagnosis.cause import ADMIN, Cause

PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md"

HEAD = """\
# Troubleshooting

When a start fails or a server ends, the user's page says why and what to do. Each cause has a stable code, which is in:

- the hub's log, in brackets before the message
- the [audit log](operations.md#the-audit-log), as `code`
- JupyterHub's metric `jupyterhub_server_spawn_duration_seconds`, as the label `reason` of failed starts (JupyterHub 6)

`scripts/troubleshooting` writes this page from the catalogue in `yarnspawner/diagnosis`. Words in italics stand for names of
your cluster. [Provoked failures](provoked.md) shows what users read on a real cluster.
"""


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for title, found in rows_by_code():
        parts.append(f"## {title}\n")
        parts += [entry(code, causes) for code, causes in found.items()]
    return "\n".join(parts)


def entry(code: str, causes: list[Cause]) -> str:
    """A cause's part of the page."""
    lines = [f"### `{code}`\n"]
    lines += [f"> {sentence}\n" for sentence in unique(cause.message for cause in causes)]
    users = unique(cause.remedy for cause in causes if not cause.remedy.startswith(ADMIN))
    lines += [f"- **The user:** {remedy}" for remedy in users if remedy]
    lines += [f"- **The administrator:** {remedy}" for remedy in unique(cause.admin for cause in causes) if remedy]
    return "\n".join(lines) + "\n"


def unique(texts: Iterable[str]) -> list[str]:
    """The different texts with their fields as words; each begins like a sentence."""
    words = (re.sub(r"\{(\w+)\}", lambda found: field(found[1]), text) for text in texts)
    return list(dict.fromkeys(text[:1].upper() + text[1:] for text in words))


def field(name: str) -> str:
    """What a field of a message stands for."""
    known = {
        "what": "server",
        "when_back": "The start continues when it does.",
        "status": "",
        "words": "*its own words*",
    }
    return known.get(name, f"*{name}*")


def main() -> int:
    """Write the page, or check that it is as it should be."""
    if "--check" not in sys.argv:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        print("docs/troubleshooting.md is not what the catalogue says; run scripts/troubleshooting", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
