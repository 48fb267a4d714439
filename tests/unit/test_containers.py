"""The files of the images, the compose file and the systemd units, without an engine."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
UNITS = sorted((ROOT / "contrib" / "systemd").glob("*.service"))

_spec = importlib.util.spec_from_file_location("builder_glibc", DOCKER / "environment" / "glibc.py")
glibc = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(glibc)

KERBEROS = """\
<configuration><property>
  <name>hadoop.security.authentication</name>
  <value>kerberos</value>
</property></configuration>
"""


def start(image, environment, *command):
    """Run an entry point as the container does, on this system."""
    return subprocess.run(
        ["sh", DOCKER / image / "entrypoint", *command],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def mounts(tmp_path):
    """All that the hub's container needs, for a cluster with Kerberos."""
    for folder in ("bin", "conf", "conf.d", "state"):
        (tmp_path / folder).mkdir()
    for name in ("core-site.xml", "hdfs-site.xml", "yarn-site.xml"):
        (tmp_path / "conf" / name).write_text(KERBEROS)
    for name, text in (("yarn", "#!/bin/sh\n"), ("jupyterhub", '#!/bin/sh\necho "$CONFIGPROXY_AUTH_TOKEN"\n')):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    # The entry point refuses root, and a test may be root.
    (tmp_path / "bin" / "id").write_text("#!/bin/sh\necho 990\n")
    (tmp_path / "bin" / "id").chmod(0o755)
    for name in ("token", "keytab", "krb5.conf", "conf.d/site.py"):
        (tmp_path / name).write_text("a-secret")
    (tmp_path / "keytab").chmod(0o400)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HADOOP_CONF_DIR": str(tmp_path / "conf"),
        "KRB5_CONFIG": str(tmp_path / "krb5.conf"),
        "YARNSPAWNER_CONF_D": str(tmp_path / "conf.d"),
        "YARNSPAWNER_HUB_ADDRESS": "hub.example.com",
        "YARNSPAWNER_KEYTAB": str(tmp_path / "keytab"),
        "YARNSPAWNER_PRINCIPAL": "jupyterhub",
        "YARNSPAWNER_PROXY_TOKEN_FILE": str(tmp_path / "token"),
        "YARNSPAWNER_STATE": str(tmp_path / "state"),
    }


def test_hub_starts(mounts):
    """With all mounts, the hub starts and has the proxy's token."""
    done = start("hub", mounts, "jupyterhub")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a-secret\n", "")


@pytest.mark.parametrize("file", ["conf/core-site.xml", "conf.d/site.py", "keytab", "krb5.conf", "token"])
def test_hub_names_what_is_missing(mounts, tmp_path, file):
    """If a mount is missing, the hub does not start and names it."""
    (tmp_path / file).unlink()
    done = start("hub", mounts, "jupyterhub")
    assert done.returncode == 78
    assert file.partition("/")[0] in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "a-secret" not in done.stdout + done.stderr


def test_hub_names_all_that_is_missing(tmp_path):
    """Without any mount, the hub lists all of them at once."""
    done = start("hub", {"HADOOP_CONF_DIR": str(tmp_path), "YARNSPAWNER_STATE": "/proc"}, "jupyterhub")
    assert done.returncode == 78
    for word in ("core-site.xml", "yarn-site.xml", "/proc", "token", "YARNSPAWNER_HUB_ADDRESS", "conf.d"):
        assert word in done.stderr


def test_hub_refuses_an_open_keytab(mounts, tmp_path):
    """A keytab that others can read is refused."""
    (tmp_path / "keytab").chmod(0o444)
    done = start("hub", mounts, "jupyterhub")
    assert done.returncode == 78
    assert "open to other users" in done.stderr


def test_simple_cluster_needs_no_keytab(mounts, tmp_path):
    """Without Kerberos, neither a keytab nor a krb5.conf is needed."""
    (tmp_path / "conf" / "core-site.xml").write_text("<configuration/>")
    for name in ("keytab", "krb5.conf"):
        (tmp_path / name).unlink()
    assert start("hub", mounts, "jupyterhub").returncode == 0


def test_proxy_needs_its_token(tmp_path):
    """Without the token, the proxy does not start."""
    done = start("proxy", {"YARNSPAWNER_PROXY_TOKEN_FILE": str(tmp_path / "none")}, "configurable-http-proxy")
    assert done.returncode == 78
    assert "token" in done.stderr


@pytest.mark.parametrize("image", ["hub", "proxy"])
def test_image_has_no_root_process(image):
    """The hub and the proxy run as an account of their own, under tini, with a health check."""
    text = (DOCKER / image / "Containerfile").read_text()
    assert re.search(r"^USER 99\d:99\d$", text, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", text, re.MULTILINE)
    assert '"/usr/bin/tini"' in text
    assert "ARG BASE=" in text
    assert not re.search(r"(?i)password|secret=|keytab=", text.replace("/run/secrets/proxy_token", ""))


def test_configuration_of_the_image(tmp_path, monkeypatch):
    """The proxy is external, the password is read from its file, and the site's settings override those of the image."""
    shutil.copy(ROOT / "jupyterhub_config.example.py", tmp_path)
    file = Path(shutil.copy(DOCKER / "hub" / "jupyterhub_config.py", tmp_path))
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "site.py").write_text('c.JupyterHub.authenticator_class = "dummy"\n')
    (tmp_path / "password").write_text("a-secret\n")
    for name in [name for name in os.environ if name.startswith("YARNSPAWNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YARNSPAWNER_DATABASE_URL", "postgresql+psycopg2://jupyterhub@database/jupyterhub")
    monkeypatch.setenv("YARNSPAWNER_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("YARNSPAWNER_EXTERNAL_PROXY", "")  # which the configuration sets
    monkeypatch.setenv("YARNSPAWNER_PRINCIPAL", "")
    monkeypatch.setenv("YARNSPAWNER_KEYTAB", "/etc/security/keytabs/jupyterhub.keytab")
    config = PyFileConfigLoader(str(file)).load_config()
    assert config.ConfigurableHTTPProxy.should_start is False
    assert config.JupyterHub.cleanup_servers is False
    assert config.JupyterHub.db_kwargs == {"connect_args": {"password": "a-secret"}}
    assert config.JupyterHub.authenticator_class == "dummy"
    assert config.Authenticator.allow_all is False
    assert (config.YarnSpawner.principal, config.YarnSpawner.keytab) == (None, None)


def test_proxy_version():
    """The image has the proxy and the Node.js that scripts/environment installs."""
    script = (ROOT / "scripts" / "environment.py").read_text()
    version = re.search(r'PROXY = "configurable-http-proxy@(.*)"', script)[1]
    assert f'"configurable-http-proxy": "{version}"' in (DOCKER / "proxy" / "package.json").read_text()
    assert re.search(r'NODE = "(.*)"', script)[1] in (DOCKER / "proxy" / "requirements.txt").read_text()


def test_compose_file():
    """In production nothing is privileged, secrets are files, and only two ports are open."""
    document = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    services = document["services"]
    assert services.keys() == {"hub", "proxy", "database"}
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {name for name in service["environment"] if name.endswith(("PASSWORD", "TOKEN", "SECRET"))}
    ports = [port.rpartition(":")[2] for service in services.values() for port in service.get("ports", [])]
    assert ports == ["8000", "8081"]
    assert "hub" not in services["proxy"].get("depends_on", ())  # a restart of the hub leaves the proxy alone
    assert document["networks"]["hub"]["internal"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units(unit):
    """Neither unit stops with the other one, and both have the same token."""
    text = unit.read_text()
    assert not re.search(r"^(Requires|BindsTo|PartOf)=", text, re.MULTILINE)
    assert "EnvironmentFile=/etc/jupyterhub/proxy.env" in text
    assert "NoNewPrivileges=yes" in text
    if shutil.which("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


# -- The builder of environments


@pytest.mark.parametrize(("text", "version"), [("2.36", (2, 36)), ("glibc 2.28", (2, 28)), ("2.3.4", (2, 3))])
def test_glibc_versions(text, version):
    """Versions are read as users and as the system write them."""
    assert glibc.parse(text) == version


@pytest.mark.parametrize("text", ["", "musl", "2", "2.x"])
def test_other_libraries_are_refused(text):
    """What is no version of glibc is refused."""
    with pytest.raises(ValueError, match="no version of glibc"):
        glibc.parse(text)


def test_newer_files_are_found(tmp_path):
    """Only ELF files that name a newer version count, also if 2.9 and 2.34 are compared."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "old.so").write_bytes(b"\x7fELF...\0GLIBC_2.2.5\0GLIBC_2.9\0")
    (tmp_path / "lib" / "new.so").write_bytes(b"\x7fELF...\0GLIBC_2.34\0GLIBC_2.9\0")
    (tmp_path / "lib" / "text.py").write_bytes(b"GLIBC_2.99\0")
    (tmp_path / "lib" / "link.so").symlink_to("new.so")
    assert glibc.newer_than(tmp_path, (2, 28)) == {Path("lib/new.so"): (2, 34)}
    assert glibc.newer_than(tmp_path, (2, 34)) == {}


def test_own_library():
    """This system's own programs load on this system."""
    assert glibc.needed_by(Path(sys.executable).resolve().read_bytes()) <= glibc.of_this_system()
