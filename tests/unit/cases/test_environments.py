"""Cases 20 to 22 of public reports: environments, and what a user has lying about."""

import os
import subprocess
import sys

import pytest
import skein

from yarnspawner.launch.archives import check_archives
from yarnspawner.launch.specification import ENVIRONMENT_FILE, SpecificationError, server_script
from yarnspawner.settings.server import SCRIPT_TEMPLATE
from yarnspawner.singleuser.failure import explain


@pytest.mark.parametrize(
    "source",
    [
        "/opt/environment.tar.bz2",
        "hdfs:///environments/jupyter.tar.xz",
        "file:///opt/environment.TXZ",
        {"source": "/opt/environment.tbz2", "visibility": "public"},
        {"source": "hdfs:///jupyter.tar.zst", "type": "archive"},
        skein.File("/opt/environment.tar.bz2", type="archive"),
        skein.File("/opt/environment.tar.xz"),
        {"source": "/opt/environment", "type": "archive"},
        {"source": "hdfs:///jupyter.conda", "type": "ARCHIVE", "visibility": "public"},
        skein.File("hdfs:///jupyter.gz", type="archive"),
        "hdfs:///jupyter.TAR.BZ2#environment",
    ],
)
def test_case_20_archives(source):
    """An archive that YARN cannot unpack is refused, whatever way it is named, with what to do."""
    with pytest.raises(SpecificationError, match=r"localize_files: 'environment'.*Pack it as \.tar\.gz"):
        check_archives({"environment": source})


def test_case_20_wrong_name(tmp_path):
    """An archive whose content is not what its name says is refused as well."""
    (tmp_path / "jupyter.tar.gz").write_bytes(b"BZh91AY&SY")
    with pytest.raises(SpecificationError, match=r"cannot unpack .*bzip2"):
        check_archives({"environment": str(tmp_path / "jupyter.tar.gz")})


@pytest.mark.parametrize(
    "source",
    [
        "/opt/e.tar.gz",
        "hdfs:///e.zip",
        "/opt/e.tgz",
        {"source": "hdfs:///E.TAR.GZ", "type": "archive"},
        {"source": "hdfs:///e.jar", "type": "archive"},
        {"source": "/opt/e.tar.xz", "type": "file"},
        "/opt/notes.xz",
        5,
        {"source": "hdfs:///e.tar", "type": "archive"},
    ],
)
def test_case_20_what_yarn_takes(source):
    """Archives that YARN unpacks, and files that nobody unpacks, pass."""
    check_archives({"environment": source})


@pytest.mark.parametrize(
    ("prologue", "command"),
    [
        ("source enviroment/bin/activate", "source enviroment/bin/activate"),
        ("conda activate /opt/jupyter\nexport A=1", "conda activate /opt/jupyter"),
    ],
)
def test_case_21_prologue(tmp_path, prologue, command):
    """The first thing that failed is named, and no server starts with another Python."""
    (tmp_path / ENVIRONMENT_FILE).write_text("")
    script = server_script(SCRIPT_TEMPLATE, user="nobody", prologue=prologue, command="echo started", epilogue="")
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert "started" not in done.stdout
    assert f"the prologue failed with status {done.returncode}: {command}" in done.stderr


def test_case_22_package_in_the_home(tmp_path, monkeypatch):
    """The message names the file of the user's own package that broke the server, and the remedy."""
    own = tmp_path / ".local/lib/python3/site-packages"
    own.mkdir(parents=True)
    (own / "broken_package_of_case_22.py").write_text("raise AttributeError('module has no attribute')\n")
    monkeypatch.setattr("site.getusersitepackages", lambda: str(own))
    monkeypatch.syspath_prepend(str(own))
    with pytest.raises(AttributeError) as caught:
        __import__("broken_package_of_case_22")
    message = explain(caught.value, "").message
    assert f"{own}/broken_package_of_case_22.py" in message
    assert "PYTHONNOUSERSITE=1" in message
    sys.modules.pop("broken_package_of_case_22", None)


def test_case_22_other_errors(tmp_path, monkeypatch):
    """An error that Jupyter has explained itself is not blamed on a package of the user's."""
    monkeypatch.setattr("site.getusersitepackages", lambda: str(tmp_path))
    log = f'  File "{tmp_path}/x.py", line 1\n[C 2026-11-23 10:00:00.000 ServerApp] Running as root is not recommended.'
    assert "Running as root" in explain(SystemExit(1), log).message
