"""Configuration of the hub's image: the example's settings, those of a container, then the site's own from conf.d.

Mount your settings as /etc/jupyterhub/conf.d/*.py. They override all of the following.
"""

import os
from pathlib import Path

c = get_config()
FOLDER = Path(__file__).parent

# The proxy is a container of its own, so users stay connected while this one restarts.
os.environ["YARNSPAWNER_EXTERNAL_PROXY"] = "1"
load_subconfig(str(FOLDER / "jupyterhub_config.example.py"))
c.JupyterHub.hub_ip = "0.0.0.0"

if database := os.environ.get("YARNSPAWNER_DATABASE_URL"):
    c.JupyterHub.db_url = database
# A password is a mounted file: an environment is visible to every process of the container and to `inspect`.
if password := os.environ.get("YARNSPAWNER_DATABASE_PASSWORD_FILE"):
    c.JupyterHub.db_kwargs = {"connect_args": {"password": Path(password).read_text().strip()}}

if not c.YarnSpawner.principal:
    c.YarnSpawner.keytab = None

# Nobody has an account in this container.
c.JupyterHub.authenticator_class = "null"
c.Authenticator.allow_all = False

for file in sorted((FOLDER / "conf.d").glob("*.py")):
    load_subconfig(str(file))
