"""The picture of the package's layout: its floors, and which part imports which; see `layout`, which starts this."""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import grimp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "yarnspawner"
PAGE = CHECKOUT / "CONTRIBUTING.md"
BEGIN = "<!-- The picture is drawn by scripts/layout. -->\n"
END = "<!-- End of the picture. -->\n"

WIDTH = 108  # characters
MARGIN = 16  # characters for the names


def floors() -> list[list[str]]:
    """The parts of each floor, the highest first, as import-linter checks them."""
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.replace("|", ":").replace(" ", "").split(":") for layer in layers]


def imports() -> dict[str, set[str]]:
    """The parts that each part of the package imports."""
    sys.path.insert(0, str(CHECKOUT))  # the checkout, not the installed copy
    graph = grimp.build_graph(PACKAGE.name, cache_dir=None)
    found: dict[str, set[str]] = {}
    for importer in graph.modules - {PACKAGE.name}:
        part = importer.split(".")[1]
        targets = {imported.split(".")[1] for imported in graph.find_modules_directly_imported_by(importer)}
        found.setdefault(part, set()).update(targets - {part})
    return found


def purpose(part: str) -> str:
    """The first sentence of a part's docstring."""
    file = PACKAGE / part / "__init__.py"
    source = (file if file.exists() else PACKAGE / f"{part}.py").read_text()
    text = " ".join((ast.get_docstring(ast.parse(source)) or "").split()).replace("``", "")
    return text.partition(". ")[0].removesuffix(".")


def picture() -> str:
    """The floors from top to bottom; under each part, what it imports."""
    graph = imports()
    parts = floors()
    order = [part for floor in parts for part in floor]
    lines = []
    for number, floor in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
        lines.append(f"── {number} {'─' * (WIDTH - 5)}")
        for part in floor:
            lines += wrapped(part, purpose(part))
            below = sorted(graph[part], key=order.index)
            if below:
                lines += wrapped("", f"→ {' '.join(below)}")
    return "\n".join(lines)


def wrapped(name: str, text: str) -> list[str]:
    """Return a name and a text next to it, in as many lines as necessary."""
    column = " " * (MARGIN + 3)
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"   {name:{MARGIN}}", subsequent_indent=column, break_on_hyphens=False
    )


def page() -> str:
    """The page with the picture as it should be."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.name} has no place for the picture")
    return f"{before}{begin}\n```text\n{picture()}\n```\n\n{end}{after}"


def main() -> int:
    """Draw the picture, or check that it is as it should be."""
    if "--check" not in sys.argv:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        print("The picture in CONTRIBUTING.md is not the package's layout; run scripts/layout", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
