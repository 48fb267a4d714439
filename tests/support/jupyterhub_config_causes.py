"""The example configuration with a profile for each start that fails (`tests/cluster/test_causes.py`)."""

import os
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"  # also where the package is not installed
c.YarnSpawner.mem_limit = "384 M"
c.JupyterHub.named_server_limit_per_user = 0

state = Path(os.environ["YARNSPAWNER_STATE"])
broken = state / "broken.tar.gz"
broken.write_text("This is no archive.\n")

SEPARATE = {"server_container": "service"}
CAUSES = {
    "ends": {"cmd": ["true"]},
    "ends-in-service": {"cmd": ["true"], **SEPARATE},
    "sleeps": {"cmd": ["echo said before it sleeps; exec sleep 600"], "start_timeout": 100},
    "sleeps-in-service": {"cmd": ["echo said before it sleeps; exec sleep 600"], "start_timeout": 100, **SEPARATE},
    "jupyterhubs-own": {"cmd": ["jupyterhub-singleuser"]},
    "no-program": {"cmd": ["/no/such/program"]},
    "no-program-in-service": {"cmd": ["/no/such/program"], **SEPARATE},
    "no-command": {"cmd": ["jupyter-nonsense"]},
    "not-executable": {"cmd": ["/etc"]},
    "no-archive-here": {"localize_files": {"environment": str(broken)}},
    "no-archive-in-hdfs": {"localize_files": {"environment": os.environ.get("CAUSES_BROKEN_ARCHIVE", "")}},
}
c.YarnSpawner.profile_list = [
    {"display_name": name, "slug": name, "yarnspawner_override": override} for name, override in CAUSES.items()
]
