"""What the documentation says of settings is so: each example is read as JupyterHub reads it, and nothing in it is unknown."""

import ast
import logging
import logging.handlers
import os
import re
from pathlib import Path

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.spawner import Spawner
from jupyterhub.traitlets import ByteSpecification
from traitlets import Integer, List
from traitlets.config import Config, PyFileConfigLoader

from tests.support.documentation import PAGES, ROOT, examples
from yarnspawner import YarnSpawner
from yarnspawner.provisioner import YarnProvisioner

CLASSES = {
    cls.__name__: cls
    for cls in (
        JupyterHub,
        Authenticator,
        SharedPasswordAuthenticator,
        ConfigurableHTTPProxy,
        Spawner,
        YarnSpawner,
        YarnProvisioner,
    )
}
EXAMPLE = ROOT / "jupyterhub_config.example.py"
OWN = {
    name: trait
    for name, trait in YarnSpawner.class_traits(config=True).items()
    if trait.this_class.__module__.startswith("yarnspawner")
}

# Blocks that are no configuration of a hub.
OTHER = ["from localhadoop import", "pytest_plugins ="]


def check(config):
    """See that all that is set exists, and that the spawner takes it."""
    assert [name for name in config if name not in CLASSES] == []
    for name, settings in config.items():
        assert [setting for setting in settings if setting not in CLASSES[name].class_traits(config=True)] == [], name
    YarnSpawner(config=config)


# -- Examples


def test_unknown_setting_is_found():
    """The check finds a setting or a class that does not exist."""
    for wrong in ("YarnSpawner.que", "YarnSpawnr.queue", "JupyterHub.queue"):
        config = Config()
        exec(f"c.{wrong} = 'x'", {"c": config})  # noqa: S102
        with pytest.raises(AssertionError):
            check(config)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_valid(page, monkeypatch):
    """Each example of a page is a valid configuration."""
    monkeypatch.setattr(logging.handlers, "WatchedFileHandler", lambda _path: logging.NullHandler())
    handlers = logging.getLogger("yarnspawner.audit").handlers
    monkeypatch.setattr(logging.getLogger("yarnspawner.audit"), "handlers", [*handlers])
    for block in examples(page):
        if block.startswith(tuple(OTHER)):
            continue
        names = {"c": Config()}
        exec(block, names)  # noqa: S102 - our own text
        check(names["c"])
        # A profile by itself is one of a list.
        if "profile" in names:
            YarnSpawner(profile_list=[names["profile"]])


def test_examples_are_found():
    """The pages have examples, and the search finds them."""
    assert sum(len(examples(page)) for page in PAGES) > 25
    assert len(examples(ROOT / "docs" / "profiles.md", under="Groups, auth state and hooks")) == 3


def test_named_settings_exist():
    """Each setting that the pages, the example configuration and the code name exists."""
    pages = [*PAGES, EXAMPLE, *(ROOT / "yarnspawner").rglob("*.py")]
    named = {
        (page.name, *found) for page in pages for found in re.findall(r"\bc\.([A-Z]\w+)\.([a-z_]\w*)", page.read_text())
    }
    assert len(named) > 40
    assert [one for one in named if one[2] not in CLASSES[one[1]].class_traits(config=True)] == []


def test_group_overrides_are_valid():
    """The group overrides of the page change only settings that exist."""
    config = Config()
    for block in examples(ROOT / "docs" / "profiles.md", under="Groups, auth state and hooks"):
        exec(block, {"c": config})  # noqa: S102 - our own text
    for override in config.YarnSpawner.group_overrides.values():
        assert override.keys() == {"groups", "spawner_override"}
        YarnSpawner(**override["spawner_override"])


def uncommented(text: str) -> str:
    """The example configuration with all in it that is there to be switched on."""
    text = re.sub(
        r"^# (c\.\w+\.\w+.*(?:\n#(?:     .*| \)))*)", lambda on: on[1].replace("\n# ", "\n"), text, flags=re.MULTILINE
    )
    return re.sub(r'^( +)# ("\w+": .*)', r"\1\2", text, flags=re.MULTILINE)


@pytest.mark.parametrize("demo", [False, True], ids=["site", "demo"])
@pytest.mark.parametrize("everything", [False, True], ids=["as-it-stands", "all-switched-on"])
def test_example_configuration(tmp_path, monkeypatch, demo, everything):
    """The example configuration loads, both as it is and with all settings switched on."""
    for name in [name for name in os.environ if name.startswith("YARNSPAWNER_")]:
        monkeypatch.delenv(name)
    # It writes the proxy's token into the hub's folder.
    monkeypatch.chdir(tmp_path)
    if demo:
        monkeypatch.setenv("YARNSPAWNER_DEMO_PASSWORD", "x")
        monkeypatch.setenv("YARNSPAWNER_DEMO_ADMIN_PASSWORD", "x")
    text = EXAMPLE.read_text()
    if everything:
        assert not re.search(r"^# c\.", uncommented(text), re.MULTILINE)
        assert uncommented(text).count("\nc.") > text.count("\nc.") + 10
        text = uncommented(text)
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(text)
    config = PyFileConfigLoader(str(file)).load_config()
    check(config)
    spawner = YarnSpawner(config=config)
    assert [profile["display_name"] for profile in spawner.profile_list] == ["Small", "Medium", "Custom"]


# -- The tables of docs/configuration.md


def rows(page: Path) -> list[tuple[list[str], str]]:
    """The names and the default of each row of a page's tables of settings."""
    found = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]*)\|", page.read_text(), flags=re.MULTILINE)
    return [(re.findall(r"\w+", names), default.strip()) for names, default in found]


def default_of(name: str) -> object:
    """As one would write it."""
    trait = YarnSpawner.class_traits()[name]
    return trait.default_value if isinstance(trait, ByteSpecification) else getattr(YarnSpawner(), name)


CONFIGURATION = ROOT / "docs" / "configuration.md"


@pytest.mark.parametrize(("names", "said"), rows(CONFIGURATION), ids=lambda value: str(value)[:40])
def test_table_defaults(names, said):
    """A default in the tables is the setting's own default."""
    assert all(YarnSpawner.class_traits(config=True).get(name) for name in names)
    values = re.match(r"(?:`[^`]*`(?:, )?)*", said)[0]
    for name, value in zip(names, re.findall("`([^`]+)`", values), strict=False):
        if not value.endswith(".xml"):
            assert ast.literal_eval(value) == default_of(name), name
    if said == "none":
        assert [name for name in names if default_of(name)] == []


def test_page_has_all_settings():
    """The page has every setting that YarnSpawner adds."""
    page = CONFIGURATION.read_text()
    assert [name for name in OWN if not re.search(f"`{name}[`(]", page)] == []


# -- Their own help


@pytest.mark.parametrize("name", OWN)
def test_help_of_setting(name):
    """A help has unit, default and example; ``--help-all`` and ``scripts/reference`` add the type and default value."""
    trait, text = OWN[name], " ".join(OWN[name].help.split())
    if isinstance(trait, (Integer, ByteSpecification)):
        assert re.search(r"\b(seconds|number of|bytes|mib|days)\b", text, re.IGNORECASE), "no unit"
    if not default_of(name):
        assert re.search(r"\b[Dd]efault\b", text), "an empty default explains nothing"
    found = re.findall(r"(?:[Ee]xample|for instance)[^`:]*:? ?``(.+?)``", text)
    if not found:
        assert re.search(r"Example[^`]*::", text), "no example"  # a block, which the reference page has
    for example in found:
        value = eval(example, {"os": type("os", (), {"environ": {"YARNSPAWNER_STATE_SECRET": "x"}})})  # noqa: S307
        setattr(YarnSpawner(), name, value)
        if isinstance(trait, List):
            assert isinstance(value, list)


# -- The names in docs/architecture.md


def test_architecture_names_exist():
    """Each class, method and file that the page names exists in the package."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "yarnspawner"
    classes = {
        node.name: {
            member.name for member in ast.walk(node) if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    named = re.findall(r"`([A-Z][a-z]\w+)(?:\.(\w+))?`", page)
    assert len(named) > 40
    assert [name for name, _ in named if name not in classes] == []
    assert [(name, method) for name, method in named if method and method not in classes[name]] == []
    files = re.findall(r"`([a-z_]+/(?:[a-z_]+\.py)?)`", page)
    assert files
    assert [file for file in files if not (package / file).exists()] == []
