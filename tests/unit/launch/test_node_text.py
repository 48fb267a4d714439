"""Values of ``environment``, as a shell of a node reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from yarnspawner.launch.node_text import NodeText
from yarnspawner.launch.specification import environment_file


def value_on_node(value: str, folder: Path) -> str:
    """Return the value that the variable has on a node with HOME and DATA."""
    script = f'{environment_file({"VALUE": value})}printf %s "$VALUE"'
    node = {"HOME": "/home/alice", "DATA": "/data", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=node, capture_output=True, text=True, check=True, timeout=20
    ).stdout


@pytest.mark.parametrize(
    "name",
    ["$HOME", "${HOME}", "{{HOME}}", r"\$HOME", "./x", "a:./x", "$", "${", "'\"; exit 3", "{username}", "$(exit 3)"],
)
@pytest.mark.parametrize(
    "written", ["{username}", "of {username}", "{username}HOME", "$DATA/{username}:$DATA", "x:{username}"]
)
def test_user_name_is_not_expanded(written: str, name: str, tmp_path: Path) -> None:
    """Variables expand in the admin's text, but a user's name stays unchanged."""
    expected = written.replace("$DATA", "/data").replace("{username}", name)
    assert value_on_node(NodeText.of(written, {"username": name}), tmp_path) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("./lib", "FOLDER/lib"),
        ("./lib:$DATA/lib:./more", "FOLDER/lib:/data/lib:FOLDER/more"),
        ("$DATA:./lib", "/data:FOLDER/lib"),
        ("$DATA./lib", "/data./lib"),
        ("a./lib:b/./c", "a./lib:b/./c"),
        ("{username}:./lib", "alice:FOLDER/lib"),
        ("./{username}:$NONE", "FOLDER/alice:$NONE"),
        (r"\$DATA {{DATA}} ${DATA} {{NONE}}", "$DATA /data /data {{NONE}}"),
        ("", ""),
    ],
)
def test_paths_and_variables(written: str, expected: str, tmp_path: Path) -> None:
    """``./`` is the container's folder, also after a variable in a list such as PYTHONPATH."""
    value = NodeText.of(written, {"username": "alice"})
    assert value_on_node(value, tmp_path) == expected.replace("FOLDER", str(tmp_path))


def test_the_text_itself_has_its_fields() -> None:
    """What reads the value in the hub sees the user's name."""
    assert NodeText.of("a {username}", {"username": "$X"}) == "a $X"
    assert NodeText.of("a {username}", {}) == "a {username}"
