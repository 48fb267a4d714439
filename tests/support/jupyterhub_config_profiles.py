"""The example configuration with more for users to choose, as the tests of profiles need it."""

import os
import secrets
from pathlib import Path

from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

from yarnspawner import TEMPLATE_PATHS

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

# Also where the package is not installed, and its entry point unknown.
c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"

c.JupyterHub.template_paths = TEMPLATE_PATHS

state = Path(os.environ["YARNSPAWNER_STATE"])


class IdentityProvider(SharedPasswordAuthenticator):
    """Tells more of a user than the name, as those that speak OAuth do: a token that is new with each login."""

    async def authenticate(self, handler, data):
        said = await super().authenticate(handler, data)
        return said and {**said, "auth_state": {"access_token": secrets.token_hex(16)}}


c.JupyterHub.authenticator_class = IdentityProvider
c.Authenticator.allowed_users |= {"alice@example.com", "bob@b.example", "hdfs@example.com"}
c.JupyterHub.load_groups = {
    "analysts": {"users": ["alice"]},
    "interns": {"users": ["bob"]},
    "researchers": {"users": ["alice@example.com"]},
    "students": {"users": ["alice@example.com"]},
}


async def tell(spawner, application_id):
    (state / f"submitted-{application_id}").write_text(spawner.user.name)


c.YarnSpawner.hadoop_user = lambda spawner: spawner.user.name.partition("@")[0]
c.YarnSpawner.shared_hadoop_users = {"alice"}
c.YarnSpawner.after_submit_hook = tell
c.YarnSpawner.application_master_memory = "256 M"
c.YarnSpawner.resource_manager_url = os.environ.get("YARNSPAWNER_RESOURCE_MANAGER_URL", "")
# What has ended is seen soon.
c.YarnSpawner.poll_interval = 5
c.YarnSpawner.environment = {"WHO": "{unescaped_username} of {groups}", "JSON": '{"a": {"b": 1}}'}
for name in c.Authenticator.allowed_users:
    (state / f"note-{name}.txt").write_text(f"a note for {name}\n")
c.YarnSpawner.localize_files = {"note.txt": str(state / "note-{username}.txt")}
prologue = c.YarnSpawner.prologue
c.YarnSpawner.prologue = f'{prologue}\nexport FROM_PROLOGUE={{username}}-${{WHO% *}} FROM_FILE="$(cat note.txt)"'
c.YarnSpawner.tags = ["tried"]
PROFILES = [
    {
        "display_name": "Small",
        "description": "For a look at some data",
        "yarnspawner_override": {"mem_limit": "384 M"},
    },
    {
        "display_name": "Large",
        "description": "For those who know what they do",
        "allowed_groups": ["analysts"],
        "yarnspawner_override": {"mem_limit": "1536 M", "cpu_limit": 2},
    },
    {
        "display_name": "Custom",
        "description": "As you like it",
        "yarnspawner_override": {
            "mem_limit": "512 M",
            "mem_limit_choices": {"minimum": "384 M", "maximum": "100 G"},
            "cpu_limit_choices": [1, 2, 3],
            "queue_choices": ["default", "small"],
        },
        "profile_options": {
            "greeting": {
                "display_name": "Greeting",
                "choices": {
                    "hello": {
                        "display_name": "Hello",
                        "yarnspawner_override": {"environment": {"GREETING": "hello {username}"}},
                    },
                },
                "unlisted_choice": {
                    "enabled": True,
                    "display_name": "Your own greeting",
                    "validation_regex": "[a-z ]+",
                    "validation_message": "Small letters and spaces, please.",
                    "yarnspawner_override": {"environment": {"GREETING": "{value}"}},
                },
            }
        },
    },
    {
        "display_name": "Separate",
        "description": "The server has a container of its own, and an end",
        "yarnspawner_override": {
            "server_container": "service",
            "mem_limit": "448 M",
            "application_master_memory": "320 M",
            "maximum_lifetime": 3600,
        },
    },
    {
        "display_name": "Short",
        "description": "Ends soon",
        "yarnspawner_override": {"mem_limit": "384 M", "maximum_lifetime": 75},
    },
    {
        "display_name": "Brief",
        "description": "Ends at once",
        "yarnspawner_override": {"mem_limit": "384 M", "maximum_lifetime": 5},
    },
    {
        "display_name": "Abrupt",
        "description": "Has no time to end in order",
        "yarnspawner_override": {"mem_limit": "384 M", "stop_timeout": 0},
    },
    {
        "display_name": "Accelerated",
        "description": "With GPUs, where there are any",
        "yarnspawner_override": {"mem_limit": "384 M", "gpus_choices": {"maximum": 8}},
    },
    {
        "display_name": "Labelled",
        "description": "On nodes with a label, where there are any",
        "yarnspawner_override": {
            "mem_limit": "384 M",
            "node_label_choices": ["", "gpu", "nosuch"],
            "queue_choices": ["default", "small"],
        },
    },
    {
        "display_name": "Labelled separate",
        "description": "The server alone is on a node with a label",
        "yarnspawner_override": {"mem_limit": "384 M", "node_label": "gpu", "server_container": "service"},
    },
    {
        "display_name": "Usual",
        "description": "What the groups have",
        "allowed_users": ["alice@example.com"],
    },
]


async def offered(spawner):
    return PROFILES


c.YarnSpawner.profile_list = offered

# The documentation's groups, auth state and hooks, as they stand there.
if "DOCUMENTED_CONFIGURATION" in os.environ:
    load_subconfig(os.environ["DOCUMENTED_CONFIGURATION"])  # noqa: F821
