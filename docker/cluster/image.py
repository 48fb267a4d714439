"""Write all files of the cluster that are no secrets, while the image is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import site_files
from hosts import DAEMONS

from localhadoop import commands, native, scripts


def main() -> None:
    chosen = site_files.settings()
    folder = chosen.folder
    for name in ("logs", "tmp", "nodes", "lib/hadoop", "daemons", "lib/web/webapps/hdfs", "lib/web/webapps/datanode"):
        (folder / name).mkdir(parents=True)
    for name, owner in (
        ("data", None),
        ("data/namenode", "hdfs"),
        ("data/datanode", "hdfs"),
        ("data/zookeeper", "yarn"),
    ):
        (folder / name).mkdir()
        if owner:
            shutil.chown(folder / name, owner, owner)
    for name in ("data", "logs", "tmp"):
        (folder / name).chmod(0o1777)  # daemons have accounts of their own
    for jar in chosen.jars:
        (folder / "lib" / "hadoop" / Path(jar).name).symlink_to(jar)
    natives = (folder / "share").rglob("hadoop-apache-*.jar")
    native.install(natives, chosen.native, chosen.native_classes)
    for jar in (folder / "share").rglob("hadoop-apache-*.jar"):
        jar.unlink()
    (folder / "krb5.conf").write_text(site_files.krb5_conf())
    site_files.write(chosen, chosen.conf)
    scripts.write(chosen)
    for name in DAEMONS:
        commands.write(chosen, name)
        if name != "kdc":
            site_files.write(chosen, folder / "daemons" / name / "conf", name)
    for place in ("kerberos/keytabs", "public"):
        (folder / place).mkdir(parents=True)


if __name__ == "__main__":
    main()
