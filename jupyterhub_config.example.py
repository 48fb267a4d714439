"""A complete JupyterHub configuration for a Hadoop cluster, to be adapted; `scripts/demo` runs this file.

The hub finds the cluster through its environment, as all of Hadoop's clients do: HADOOP_CONF_DIR, a `yarn` command on
PATH, JAVA_HOME, and KRB5_CONFIG if the file is not /etc/krb5.conf. This file reads common settings from YARNSPAWNER_*
variables, so that it works unchanged. In your copy, write the values here.

    jupyterhub -f jupyterhub_config.example.py
"""

import os
import shlex
import socket
import sys

from yarnspawner import TEMPLATE_PATHS, keep_proxy

c = get_config()

# -- The hub, as browsers see it ---------------------------------------------------------------------------------------

# Browsers connect to the proxy. Unless this is only a test on your own machine, give it a certificate, or put it behind a
# web server that has one.
c.JupyterHub.bind_url = os.environ.get("YARNSPAWNER_BIND_URL", "http://:8000")
# c.JupyterHub.ssl_cert = "/etc/jupyterhub/hub.pem"
# c.JupyterHub.ssl_key = "/etc/jupyterhub/hub.key"

# The hub's state: its database, and the secret that signs cookies and encrypts the spawner's state.
state = os.environ.get("YARNSPAWNER_STATE", ".")
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{state}/jupyterhub_cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{state}/jupyterhub-proxy.pid"

# Only the hub uses the proxy's own API.
c.ConfigurableHTTPProxy.api_url = os.environ.get("YARNSPAWNER_PROXY_API_URL", "http://127.0.0.1:8001")

# -- The hub, as the cluster's nodes see it ----------------------------------------------------------------------------

# Users' servers connect to the hub from the nodes. Most first failures are here: this must not be a loopback address, the
# nodes must be able to resolve the name, and the firewall must allow the port.
hub = os.environ.get("YARNSPAWNER_HUB_ADDRESS") or socket.getfqdn()
c.JupyterHub.hub_connect_ip = hub
c.JupyterHub.hub_ip = hub if hub.startswith("127.") else "0.0.0.0"
c.JupyterHub.hub_port = int(os.environ.get("YARNSPAWNER_HUB_PORT", "8081"))

# Servers keep running while the hub restarts, and the hub finds them again.
c.JupyterHub.cleanup_servers = False

# Users stay connected while the hub restarts, because the proxy keeps running. Preferably, the proxy is a service of its
# own. Both get the same token in their environment, CONFIGPROXY_AUTH_TOKEN. See docs/containers.md, and contrib/systemd.
if os.environ.get("YARNSPAWNER_EXTERNAL_PROXY"):
    c.ConfigurableHTTPProxy.should_start = False
else:
    # The hub starts it and leaves it running. After a change of its settings, stop it, then restart the hub.
    keep_proxy(c, f"{state}/jupyterhub_proxy_token")

# -- Who may log in ----------------------------------------------------------------------------------------------------

c.Authenticator.admin_users = set(os.environ.get("YARNSPAWNER_ADMINS", "").split())

# Everyone with an account on the hub's machine can log in. Nearly every site has a better authenticator; see
# https://oauthenticator.readthedocs.io and https://github.com/jupyterhub/ldapauthenticator.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allow_all = True

# -- The hub on the cluster --------------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "yarn"

# With Kerberos, the hub logs in with a keytab and starts every server as its user. Allow this in core-site.xml of the
# ResourceManager and the NameNode, then run `yarn rmadmin -refreshSuperUserGroupsConfiguration` and `hdfs dfsadmin
# -refreshSuperUserGroupsConfiguration`:
#
#     hadoop.proxyuser.jupyterhub.hosts   hub.example.com
#     hadoop.proxyuser.jupyterhub.groups  analysts
c.YarnSpawner.principal = os.environ.get("YARNSPAWNER_PRINCIPAL") or None
c.YarnSpawner.keytab = os.environ.get("YARNSPAWNER_KEYTAB") or None

# The CA of the cluster's web services, if they use HTTPS with certificates of a private CA (a PEM file).
c.YarnSpawner.hadoop_ca_file = os.environ.get("YARNSPAWNER_HADOOP_CA_FILE", "")

# The Hadoop user that a user's server runs as. By default, both have the same name.
# c.YarnSpawner.hadoop_user = lambda spawner: spawner.user.name.removesuffix("@example.com")

# -- What a server gets ------------------------------------------------------------------------------------------------

c.YarnSpawner.queue = os.environ.get("YARNSPAWNER_QUEUE", "default")
# c.YarnSpawner.queue = "root.users.{queue_username}"

c.YarnSpawner.mem_limit = "1 G"  # YARN kills a container that uses more
c.YarnSpawner.cpu_limit = 1  # virtual cores
# c.YarnSpawner.gpus = 1
# c.YarnSpawner.node_label = "gpu"

# Python, Jupyter and this package in the container: either a folder that each node has, or an archive made with
# conda-pack or venv-pack, preferably in HDFS and readable by everyone, so that each node keeps one copy.
environment = os.environ.get("YARNSPAWNER_ENVIRONMENT", sys.prefix)
if environment.endswith((".tar.gz", ".zip")):
    c.YarnSpawner.localize_files = {"environment": {"source": environment, "visibility": "public"}}
    environment = "environment"
c.YarnSpawner.prologue = f"source {shlex.quote(environment)}/bin/activate"

# Environment variables of the notebooks. They travel in a private file, but each user can read all of them.
# c.YarnSpawner.environment = {"SPARK_HOME": "/opt/spark"}

# Users see a notice if their notebooks are on one node's disk only, or in a container's folder. Best, all nodes share the
# home directories. Set this to "shared" if the notice is wrong.
c.YarnSpawner.notebook_storage = os.environ.get("YARNSPAWNER_NOTEBOOK_STORAGE", "detect")

# Ports for a firewall between the hub and the nodes. Each node needs as many as it has servers at the same time.
# c.YarnSpawner.port_range = (40000, 40999)

# Limit for a start, in seconds. A queue may be full, and the first start on a node copies the environment there.
c.YarnSpawner.start_timeout = 300

# Grace period, in seconds, for kernels and server to shut down before YARN kills the container.
c.YarnSpawner.stop_timeout = 30

# Several servers for each user. After the login, users see the list of their servers, and none starts automatically.
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 3
c.JupyterHub.redirect_to_server = False

# -- What users may choose ---------------------------------------------------------------------------------------------

# Users see these profiles before a server starts. A profile can override any of the settings above. The hub checks the
# users' choices, from the page and from the REST API. See docs/profiles.md.
c.YarnSpawner.profile_list = [
    {
        "display_name": "Small",
        "description": "To look at data, and for jobs that Spark or Hive run elsewhere on the cluster.",
        "default": True,
        "yarnspawner_override": {"mem_limit": "1 G", "cpu_limit": 1},
    },
    {
        "display_name": "Medium",
        "description": "To work with data that fits into memory.",
        "yarnspawner_override": {"mem_limit": "2 G", "cpu_limit": 2},
        # "allowed_groups": ["analysts"],
    },
    {
        "display_name": "Custom",
        "description": "As much as you need and the cluster can give. Large servers may have to wait.",
        "yarnspawner_override": {
            "mem_limit_choices": {"minimum": "512 M"},  # without a maximum, the cluster's own limit applies
            "cpu_limit_choices": {"maximum": 4},
            "queue_choices": os.environ.get("YARNSPAWNER_QUEUES", c.YarnSpawner.queue).split(),
        },
    },
]

# Kernels in containers of their own: a small server opens kernels of these sizes. See docs/kernels.md.
c.YarnSpawner.kernel_profiles = [{"memory": size} for size in os.environ.get("YARNSPAWNER_KERNEL_SIZES", "").split()]
# c.YarnSpawner.kernel_profiles = [{"memory": "8 G", "vcores": 4}, {"memory": "64 G", "allowed_groups": ["analysts"]}]
# c.YarnSpawner.kernel_limit = {"containers": 4, "memory": "96 G"}

# A server's maximum age, in seconds. YARN enforces it; users see it, also on the hub's home page.
# c.YarnSpawner.maximum_lifetime = 24 * 3600
c.JupyterHub.template_paths = TEMPLATE_PATHS

# -- Operations --------------------------------------------------------------------------------------------------------

# Admins have all permissions except access to users' servers. These users see the admin page, and start and stop servers:
# c.JupyterHub.load_roles.append(
#     {"name": "helpdesk", "groups": ["helpdesk"], "scopes": ["admin-ui", "list:users", "list:groups", "admin:servers"]}
# )

# Stop servers that are idle for an hour (pip install jupyterhub-idle-culler):
# c.JupyterHub.services.append(
#     {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
# )
# c.JupyterHub.load_roles.append(
#     {"name": "culler", "services": ["culler"], "scopes": ["list:users", "read:users:activity", "delete:servers"]}
# )

# -- The demo ----------------------------------------------------------------------------------------------------------

# The demo's users have no accounts, its cluster is one machine, and it is temporary. Remove this from your copy.
if "YARNSPAWNER_DEMO_PASSWORD" in os.environ:
    c.JupyterHub.cleanup_proxy = True
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = os.environ["YARNSPAWNER_DEMO_PASSWORD"]
    c.SharedPasswordAuthenticator.admin_password = os.environ["YARNSPAWNER_DEMO_ADMIN_PASSWORD"]
    c.Authenticator.allow_all = False
    c.Authenticator.allowed_users = {"alice", "bob", "carl"}
    # Notebooks find Hadoop's clients in the same place as the hub.
    c.YarnSpawner.env_keep = ["HADOOP_CONF_DIR", "JAVA_HOME", "KRB5_CONFIG", "PATH"]
    # Without Kerberos, all containers run as the account that started the cluster. Jupyter refuses to run as root.
    if os.getuid() == 0 and not c.YarnSpawner.principal:
        c.YarnSpawner.args = ["--allow-root"]
