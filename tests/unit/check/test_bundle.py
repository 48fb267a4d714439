"""The support bundle has what the check found and looked at, and no secret."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config

from yarnspawner.check.bundle import REMOVED, clean, value_of, write_bundle
from yarnspawner.check.result import Finished, Step, wrong

COOKIE_SECRET = "1f" * 32
API_TOKEN = "5e" * 16
SECRETS = {
    "ssl.server.keystore.password": "pw-keystore",
    "ssl.server.keystore.keypassword": "pw-key",
    "fs.s3a.secret.key": "pw-s3",
    "fs.s3a.access.key": "pw-access",
    "fs.azure.account.key.example.blob.core.windows.net": "pw-azure",
    "hadoop.security.group.mapping.ldap.bind.password": "pw-ldap",
    "javax.jdo.option.ConnectionPassword": "pw-hive",
    "dfs.adls.oauth2.credential": "pw-adls",
    "yarn.app.mapreduce.shuffle.jaas": "pw-jaas",
}
PEM = "-----BEGIN PRIVATE KEY-----\nMIIpw\n-----END PRIVATE KEY-----"


def bundle_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Write a bundle in a place full of secrets, and return its files."""
    conf = folder / "conf"
    conf.mkdir()
    keytab = conf / "hub.keytab"
    keytab.write_bytes(b"\x05\x02pw-keytab")
    (folder / "jupyterhub_cookie_secret").write_text(COOKIE_SECRET)
    properties = "".join(f"<property><name>{k}</name><value>{v}</value></property>" for k, v in SECRETS.items())
    properties += "<property><name>yarn.acl.enable</name><value>true</value></property>"
    (conf / "core-site.xml").write_text(f"<configuration>{properties}</configuration>")
    (conf / "ssl-server.xml").write_text("<configuration>pw-ssl</configuration>")
    config = Config()
    config.YarnSpawner.keytab = str(keytab)
    config.YarnSpawner.queue = "root.users"
    config.YarnSpawner.environment = {"DB_PASSWORD": "pw-environment", "PROXY": "http://me:pw-proxy@proxy:3128"}
    config.YarnSpawner.state_secret = "pw-state"
    config.JupyterHub.cookie_secret = COOKIE_SECRET
    config.JupyterHub.db_url = "postgresql://hub:pw-database@db/hub"
    config.JupyterHub.services = [{"name": "culler", "api_token": API_TOKEN}]
    config.ConfigurableHTTPProxy.auth_token = "pw-proxy-token"
    config.GitHubOAuthenticator.client_secret = "pw-client"
    config.YarnSpawner.modify_spec_hook = lambda spawner, spec: "pw-hook"
    for name, value in {
        "CONFIGPROXY_AUTH_TOKEN": "pw-variable",
        "JUPYTERHUB_CRYPT_KEY": "pw-crypt",
        "HADOOP_CREDSTORE_PASSWORD": "pw-credstore",
        "SOMETHING": "pw-unknown-variable",
        "HADOOP_CONF_DIR": str(conf),
    }.items():
        monkeypatch.setenv(name, value)
    hub = SimpleNamespace(config=config)
    context: Any = SimpleNamespace(hub=hub, user="alice", hub_user="jupyterhub", folder=conf)
    finding = wrong(f"It said {PEM} and token=pw-finding and {API_TOKEN}", detail=f"{COOKIE_SECRET}\n{PEM}")
    file = folder / "bundle.tar.gz"
    write_bundle(file, context, [Finished(Step("Group", "Name", None), finding, 0.1)])  # type: ignore[arg-type]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        return {entry.name: archive.extractfile(entry).read().decode() for entry in archive}  # type: ignore[union-attr]


def test_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No keytab, cookie secret, API token, password or key gets in, wherever it stands."""
    files = bundle_of(tmp_path, monkeypatch)
    everything = "\n".join([*files, *files.values()])
    for secret in (COOKIE_SECRET, API_TOKEN, "PRIVATE KEY", "MIIpw", *SECRETS.values()):
        assert secret not in everything, secret
    assert "pw-" not in everything


def test_useful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results, harmless settings, properties and names of removed ones are there."""
    files = bundle_of(tmp_path, monkeypatch)
    settings = json.loads(files["yarnspawner-check/settings.json"])
    assert settings["YarnSpawner.queue"] == "root.users"
    assert settings["JupyterHub.cookie_secret"] == REMOVED
    assert settings["YarnSpawner.modify_spec_hook"] == "<function>"
    site = json.loads(files["yarnspawner-check/hadoop/core-site.xml.json"])
    assert site["yarn.acl.enable"] == "true"
    assert site["fs.s3a.secret.key"] == REMOVED
    assert json.loads(files["yarnspawner-check/check.json"])["steps"][0]["mark"] == "wrong"
    assert "wrong" in files["yarnspawner-check/check.txt"]
    assert "jupyterhub" in json.loads(files["yarnspawner-check/versions.json"])


def test_lifetimes_stay() -> None:
    """Properties about tokens that are no secrets stay readable."""
    assert value_of("dfs.namenode.delegation.token.max-lifetime", "604800000") == "604800000"
    assert value_of("yarn.resourcemanager.delegation.token.renew-interval", "86400000") == "86400000"
    assert value_of("hadoop.kms.password", "x") == REMOVED
    assert clean("mysql://user:hidden@host/db") == f"mysql://user:{REMOVED}@host/db"
