"""The example configuration for users who mean harm: what a server of theirs runs is the test's own script.

A start of the server called NAME runs $YARNSPAWNER_STATE/attacks/NAME.py in its container, if there is one, in place of the
recipe: what a user does who has taken the container over.
"""

import os
import shlex
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"
c.JupyterHub.named_server_limit_per_user = 0
c.YarnSpawner.profile_list = []
c.YarnSpawner.mem_limit = "320 M"
c.YarnSpawner.application_master_memory = "192 M"
c.YarnSpawner.port_range = (30000, 39999)
c.YarnSpawner.http_timeout = 60

# What a user who has posted options can have done to the settings of the own spawner.
c.YarnSpawner.environment = {"SERVER": "{servername}"}

attacks = Path(os.environ["YARNSPAWNER_STATE"]) / "attacks"


def take_over(spawner):
    script = attacks / f"{spawner.name}.py"
    spawner.cmd = ["python -m yarnspawner.singleuser"]
    if script.exists():
        spawner.cmd = ["python -c " + shlex.quote(script.read_text())]


c.YarnSpawner.pre_spawn_hook = take_over

# Whom names of all kinds may be, for tests of names: nobody changes or refuses them.
if "YARNSPAWNER_ANY_NAME" in os.environ:
    from jupyterhub.auth import Authenticator

    class AnyName(Authenticator):
        def normalize_username(self, username):
            return username

        async def authenticate(self, handler, data):
            return None

    c.JupyterHub.authenticator_class = AnyName
    c.Authenticator.allow_all = True
    c.YarnSpawner.hadoop_user = "alice"
    c.YarnSpawner.shared_hadoop_users = {"alice"}
    c.YarnSpawner.pre_spawn_hook = None
    c.YarnSpawner.application_name = "notebook of {unescaped_username}"
    c.YarnSpawner.environment = {"WHO": "{unescaped_username}"}
    witness = shlex.quote(os.environ["YARNSPAWNER_ANY_NAME"])
    c.YarnSpawner.prologue += f'\nprintf "%s\\0" {{unescaped_username}} "$WHO" "$JUPYTERHUB_USER" > {witness}/$$'
    c.JupyterHub.services = [{"name": "tester", "api_token": os.environ["YARNSPAWNER_TESTER_TOKEN"]}]
    c.JupyterHub.load_roles = [{"name": "tester", "services": ["tester"], "scopes": ["admin:users", "admin:servers"]}]
