"""The example configuration with a profile for each start that fails (`tests/cluster/test_causes.py`)."""

import os
import shlex
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"  # also where the package is not installed
c.YarnSpawner.mem_limit = "320 M"
c.YarnSpawner.application_master_memory = "192 M"
c.YarnSpawner.start_timeout = 150
c.JupyterHub.named_server_limit_per_user = 0

state = Path(os.environ["YARNSPAWNER_STATE"])
broken = state / "broken.tar.gz"
broken.write_text("This is no archive.\n")

PORT = int(os.environ.get("CAUSES_PORT", "40000"))
PUBLISH = """
import json, time
from yarnspawner.singleuser.store import Store
Store().put("jupyter.server.address", {said}, lasting=True)
{then}
"""
ADDRESS = 'json.dumps({{"version": 1, "scheme": "http", "host": "x", "port": {port}}}).encode()'
SERVE = "from http.server import HTTPServer, SimpleHTTPRequestHandler as Page; HTTPServer(('', {port}), Page).serve_forever()"


def python(script):
    return {"cmd": ["exec python -c " + shlex.quote(script)]}


def publishing(said, then="time.sleep(600)"):
    return python(PUBLISH.format(said=said, then=then))


def fails(spawner):
    raise RuntimeError("an error of the site's own code")


SLEEP = {"cmd": ["exec sleep 600"]}
SEPARATE = {"server_container": "service"}
CAUSES = {
    "ends": {"cmd": ["true"]},
    "ends-in-service": {"cmd": ["true"], **SEPARATE},
    "sleeps": {"cmd": ["echo said before it sleeps; exec sleep 600"], "start_timeout": 100},
    "sleeps-in-service": {"cmd": ["echo said before it sleeps; exec sleep 600"], "start_timeout": 100, **SEPARATE},
    "jupyterhubs-own": {"cmd": ["exec jupyterhub-singleuser"]},
    "no-program": {"cmd": ["/no/such/program"]},
    "no-program-in-service": {"cmd": ["/no/such/program"], **SEPARATE},
    "no-command": {"cmd": ["jupyter-nonsense"]},
    "not-executable": {"cmd": ["/etc"]},
    "no-archive-here": {"localize_files": {"environment": str(broken)}},
    "no-archive-in-hdfs": {"localize_files": {"environment": os.environ.get("CAUSES_BROKEN_ARCHIVE", "")}},
    # -- Refused before there is a container
    "no-queue": {"queue": "nowhere"},
    "queue-of-queues": {"queue": "root"},
    "queue-stopped": {"queue": "stopped"},
    "too-many-gpus": {"gpus": 4},
    "no-label": {"node_label": "nothing"},
    "no-file-in-hdfs": {"localize_files": {"data": "hdfs:///user/alice/nothing"}},
    "no-file-here": {"localize_files": {"data": "/nowhere/data.csv"}},
    "no-such-scheme": {"localize_files": {"data": "nonsense://host/data"}},
    "file-of-bob": {"localize_files": {"data": "hdfs:///user/bob/private/data"}},
    "system-account": {"hadoop_user": "hdfs"},
    "not-impersonated": {"hadoop_user": "carl"},
    "wrong-template": {"queue": "{nonsense}"},
    # -- What the container says
    "prologue": {"prologue": "cat /no/such/file"},
    "no-python": {"cmd": ["/opt/nothing/bin/python -m yarnspawner.singleuser"]},
    "no-yarnspawner": {"cmd": ["python -S -m yarnspawner.singleuser"]},
    "no-module": python("import nonsense"),
    "no-jupyter": {"cmd": ["python -S -c 'import jupyterhub.singleuser'"]},
    "no-jupyterlab": {"cmd": ["python -S -c 'import jupyterlab.labapp'"]},
    "disk-full": {"cmd": ["echo much > /dev/full || exit 1"]},
    "no-permission": python("open('/etc/shadow')"),
    "no-class": {"cmd": ["$JAVA_HOME/bin/java NoSuchClass"]},
    "little-memory": {"cmd": ["ulimit -v 500000; exec python -c 'b\"1\" * (1 << 30)'"]},
    "exits": {"cmd": ["exit 3"]},
    "kills-itself": {"cmd": ["kill -9 $$"]},
    "no-port": {"port_range": (PORT, PORT)},
    "wrong-data": publishing("b'nonsense'"),
    "nobody-listens": {**publishing(ADDRESS.format(port=PORT + 1)), "http_timeout": 15},
    "another-server": publishing(ADDRESS.format(port=PORT + 2), SERVE.format(port=PORT + 2)),
    "not-public": {"localize_files": {"data": {"source": "hdfs:///user/alice/own/data", "visibility": "public"}}},
    "wrong-option": {"args": ["--ServerApp.port_retries=many"]},
    "no-hub": {
        "cmd": ["JUPYTERHUB_API_URL=http://127.0.0.1:9/hub/api exec python -m yarnspawner.singleuser"],
        "start_timeout": 90,
    },
    # -- What happens to it
    "is-killed": SLEEP,
    "lives-short": {**SLEEP, "maximum_lifetime": 30},
    "fills-queue": {**SLEEP, "queue": "small", "mem_limit": "640 M"},
    "waits": {"queue": "small", "mem_limit": "640 M", "start_timeout": 60},
    # -- Outages
    "quota": {},
    "no-home": {},
    "safe-mode": {"start_timeout": 45},
    "no-resource-manager": {"start_timeout": 45},
}
# What profiles cannot set.
SETTINGS = {
    "no-keytab": {"keytab": "/nowhere/hub.keytab"},
    "no-principal": {"principal": None},
    "own-code": {"queue": fails},
    "too-large": {"mem_limit": "100 G"},
}


def set_up(spawner):
    for name, value in SETTINGS.get(spawner.name, {}).items():
        setattr(spawner, name, value)


c.YarnSpawner.pre_spawn_hook = set_up
c.YarnSpawner.profile_list = [
    {"display_name": name, "slug": name, "yarnspawner_override": override}
    for name, override in (CAUSES | {name: {} for name in SETTINGS}).items()
]
