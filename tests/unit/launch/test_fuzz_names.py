"""Whatever users and servers are called: no two collide, none is executed, none is taken for a template."""

from __future__ import annotations

import re
import shlex
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fuzzing import many
from yarnspawner.common.string_templates import TemplateError, render_strict, substitute
from yarnspawner.hadoop.accounts import IdentityRefused, validate_account
from yarnspawner.launch.specification import SpecificationError, environment_file, server_script, shell_command
from yarnspawner.yarn.tags import server_tag, user_tag

HARD = [
    "$(id)",
    "`id`",
    "';id;'",
    '"',
    "\\",
    "\n",
    "\r\n",
    "$PATH",
    "${IFS}",
    "{username}",
    "{0.__class__}",
    "#",
    "*",
    "~",
    "-n",
    "\u202e",
    "É",
    "ß",
    "İ",
]
NAMES = st.lists(
    st.sampled_from(HARD) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10), max_size=8
).map("".join)
TEMPLATES = st.lists(
    st.sampled_from(["{username}", "{servername}", "{{", "}}", "{", "}", "${HOME}", "{0}", "{x}", "!r", "[0]", ".a"])
    | st.text(max_size=5),
    max_size=8,
).map("".join)


@given(one=st.lists(NAMES, min_size=2, max_size=2), other=st.lists(NAMES, min_size=2, max_size=2))
@many(500)
def test_fuzz_server_tags(one, other):
    """Two different servers never share a tag, and each tag is valid in YARN."""
    tags = server_tag("hub", *one), server_tag("hub", *other)
    assert (tags[0] == tags[1]) is (one == other)
    for made in tags:
        # YARN: ASCII, up to 100 characters, no comma; and it makes them lower case.
        assert re.fullmatch("[a-z0-9-]{1,100}", made)


@given(name=NAMES)
@many()
def test_fuzz_case_of_names(name):
    """Names that differ only in case have different tags."""
    for other in {name.upper(), name.lower(), name.swapcase()} - {name}:
        assert user_tag("hub", name) != user_tag("hub", other)


@given(
    parts=st.lists(
        st.sampled_from(["{username}", "{servername}", "{{", "}}"])
        | st.text(st.characters(exclude_characters="{}"), max_size=5),
        max_size=8,
    ),
    name=NAMES,
    server=NAMES,
)
@many(500)
def test_fuzz_template_values(parts, name, server):
    """A template inserts names unchanged."""
    means = {"{username}": name, "{servername}": server, "{{": "{", "}}": "}"}
    expected = "".join(means.get(part, part) for part in parts)
    assert render_strict("".join(parts), {"username": name, "servername": server}) == expected


@given(template=TEMPLATES)
@many()
def test_fuzz_templates(template):
    """Any template is expanded or refused, and reaches no attribute of a name."""
    secret = type("Secret", (str,), {"a": "reached"})("name")
    try:
        assert "reached" not in render_strict(template, {"username": secret, "servername": secret})
    except TemplateError:
        pass


@given(name=NAMES)
@many()
def test_fuzz_hadoop_user(name):
    """A Hadoop user is a valid account that is no superuser, or it is refused."""
    try:
        account = validate_account(name, hub="jupyterhub")
    except IdentityRefused:
        return
    assert re.fullmatch(r"[A-Za-z0-9_.@$-]+", account) and not account.startswith("-")
    assert account not in ("root", "hdfs", "yarn", "jupyterhub")


@given(words=st.lists(NAMES.filter(bool), min_size=2, max_size=4), values=st.lists(NAMES, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_fuzz_shell(words, values, tmp_path_factory):
    """A real shell runs no part of a name in a command, an environment or a prologue."""
    folder = tmp_path_factory.mktemp("shell")
    environment = {f"V{number}": value for number, value in enumerate(values)}
    (folder / "yarnspawner.env").write_text(environment_file(environment), newline="")
    prologue = substitute('printf "%s\\0" {username}', {"username": words[0]}, quoted=shlex.quote)
    show = 'printf "%s\\0" ' + " ".join(f'"${name}"' for name in environment)
    script = server_script(
        "{prologue}\n{singleuser_command}\n{epilogue}\n",
        user=words[0],
        prologue=prologue,
        command=shell_command(["printf", r"%s\0", *words], []),
        epilogue=show,
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.stdout.decode().split("\0")[:-1] == [words[0], *words, *values]
    assert done.stderr == b""


@given(name=st.text(max_size=8))
@many()
def test_fuzz_variable_names(name):
    """An environment variable has a valid name, or it is refused."""
    try:
        line = environment_file({name: "x"})
    except SpecificationError:
        return
    assert re.fullmatch(r"export [A-Za-z_][A-Za-z0-9_]*=x\n", line)


@given(template=st.text() | TEMPLATES)
@many()
def test_fuzz_script_templates(template):
    """Any script template is filled in, or the error names the setting."""
    try:
        server_script(template, user="alice", prologue="p", command="c", epilogue="e")
    except SpecificationError as error:
        assert "script_template" in str(error)
