"""What the host kdc makes before the others start: principals, keytabs, a certificate authority and certificates.

It writes each host's secrets to /hosts/HOST, which that host mounts alone.
"""

from __future__ import annotations

import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

from hosts import ADDRESSES, daemons_of, full
from site_files import PUBLIC, STORE_PASSWORD, kdc_conf

from localhadoop import kdc
from localhadoop.settings import HUB, REALM, USERS

HOSTS = Path("/hosts")
DATABASE = Path("/var/lib/krb5kdc")
AUTHORITY = Path("/root/authority")


def create() -> None:
    """Make all of it, unless it is there."""
    if (DATABASE / "principal").exists():
        return
    DATABASE.mkdir(parents=True, exist_ok=True)
    Path("/etc/krb5kdc/kdc.conf").write_text(kdc_conf(DATABASE))
    (DATABASE / "kadm5.acl").touch()
    run(["kdb5_util", "create", "-s", "-r", REALM, "-P", secrets.token_hex(16)])
    make_authority()
    for host in ADDRESSES:
        (HOSTS / host).mkdir(exist_ok=True)
    lines = [f"addprinc -pw {kdc.password(user)} {user}" for user in (*USERS, HUB)]
    for host in ADDRESSES:
        lines += services(host)
    lines.append(f"ktadd -k {HOSTS / 'hub' / 'jupyterhub.keytab'} -norandkey {HUB}")
    # kadmin.local goes on after an error, and writes it.
    answer = run(["kadmin.local", "-r", REALM], "\n".join(lines) + "\n")
    if failed := [line for line in answer.splitlines() if " while " in line]:
        raise RuntimeError(failed[0])
    for host in ADDRESSES:
        finish(host)


def services(host: str) -> list[str]:
    """Return the commands that make the principals of a host, and its keytab."""
    kinds = {"nn": ["hdfs"], "rm1": ["yarn"], "rm2": ["yarn"], "worker1": ["hdfs", "yarn"], "worker2": ["hdfs", "yarn"]}
    if host not in kinds:
        return []
    names = [f"{kind}/{full(host)}" for kind in [*kinds[host], "HTTP"]]
    file = HOSTS / host / "services.keytab"
    return [*(f"addprinc -randkey {name}" for name in names), *(f"ktadd -k {file} {name}" for name in names)]


def make_authority() -> None:
    AUTHORITY.mkdir(mode=0o700)
    certificate, key = AUTHORITY / "ca.pem", AUTHORITY / "ca.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=Private CA of a trial",
            "-keyout", str(key), "-out", str(certificate))  # fmt: skip
    shutil.copy(certificate, PUBLIC / "ca.pem")
    store = str(PUBLIC / "truststore.p12")
    run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", str(certificate), "-keystore", store,
         "-storetype", "PKCS12", "-storepass", STORE_PASSWORD])  # fmt: skip
    for file in PUBLIC.iterdir():
        file.chmod(0o644)


def finish(host: str) -> None:
    """Give a host its certificate, and its files to the account that reads them."""
    folder = HOSTS / host
    key, request, certificate = (folder / f"tls.{suffix}" for suffix in ("key", "csr", "pem"))
    names = AUTHORITY / f"{host}.ext"
    names.write_text(f"subjectAltName=DNS:{full(host)},IP:{ADDRESSES[host]}\n")
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={full(host)}", "-keyout", str(key), "-out", str(request)
    )
    openssl("x509", "-req", "-in", str(request), "-days", "365", "-CA", str(AUTHORITY / "ca.pem"),
            "-CAkey", str(AUTHORITY / "ca.key"), "-CAcreateserial", "-extfile", str(names), "-out", str(certificate))  # fmt: skip
    openssl("pkcs12", "-export", "-in", str(certificate), "-inkey", str(key), "-name", host,
            "-passout", f"pass:{STORE_PASSWORD}", "-out", str(folder / "keystore.p12"))  # fmt: skip
    request.unlink()
    (folder / "http-secret").write_text(secrets.token_hex(32))
    account = {"nn": "hdfs", "worker1": "hdfs", "worker2": "hdfs", "rm1": "yarn", "rm2": "yarn"}.get(host)
    uid = pwd.getpwnam(account).pw_uid if account else {"hub": 990, "proxy": 991}.get(host, 0)
    for file in folder.iterdir():
        shutil.chown(file, uid)
        file.chmod(0o400)
    folder.chmod(0o711)
    if daemons_of(host) or host == "hub":
        (folder / "complete").touch()


def openssl(*arguments: str) -> None:
    run(["openssl", *arguments])


def run(command: list[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout + done.stderr
