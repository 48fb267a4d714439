"""The configuration with frequent sweeps, for many users with small servers."""

import os
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(str(Path(__file__).with_name("jupyterhub_config_sweeps.py")))  # noqa: F821

c.YarnSpawner.mem_limit = "384 M"
c.YarnSpawner.profile_list = []
c.Authenticator.allowed_users = set(os.environ["STORM_USERS"].split())
