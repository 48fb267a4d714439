"""The example configuration with kernels in containers of their own."""

import json
import os
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

# Also where the package is not installed, and its entry point unknown.
c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"
c.JupyterHub.load_groups = {"analysts": {"users": ["alice"]}}

# bash_kernel's own installer would change the environment.
state = Path(os.environ["YARNSPAWNER_STATE"])
kernels = Path(os.environ["TEST_JUPYTER_PATH"])
bash = kernels / "kernels" / "bash"
bash.mkdir(parents=True, exist_ok=True)
(bash / "kernel.json").write_text(
    json.dumps(
        {
            "argv": ["python", "-m", "bash_kernel", "-f", "{connection_file}"],
            "display_name": "Bash",
            "language": "bash",
            "env": {"PS1": "$"},
        }
    )
)

c.YarnSpawner.profile_list = []
c.YarnSpawner.mem_limit = "700 M"
c.YarnSpawner.application_master_log_level = "DEBUG"
c.YarnSpawner.server_container = os.environ.get("TEST_SERVER_CONTAINER", "master")
c.YarnSpawner.environment = {"JUPYTER_PATH": str(kernels)}
c.YarnSpawner.kernel_profiles = [
    {"memory": "400 M"},
    {"memory": "300 M", "kernel": "bash"},
    {"slug": "analysts", "memory": "450 M", "vcores": 2, "allowed_groups": ["analysts"]},
    {"slug": "warm", "memory": "350 M", "warm_kernels": 1},
    {"slug": "huge", "memory": "200 G", "allowed_users": ["alice"]},
    {"slug": "absent", "memory": "400 M", "kernel": "fortran"},
]
c.YarnSpawner.kernel_limit = {"containers": 3, "memory": "201 G"}
