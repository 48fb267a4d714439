"""A JupyterHub for a Hadoop cluster, complete and ready to be changed; `scripts/demo` runs this very file.

Where the cluster is comes from the environment, as for all of Hadoop's clients: HADOOP_CONF_DIR, a `yarn` command on
PATH, JAVA_HOME, and KRB5_CONFIG if the file is not /etc/krb5.conf. What a site usually sets is read from YARNSPAWNER_*
variables where they exist, so that the file works as it stands; in yours, write the values here.

    jupyterhub -f jupyterhub_config.example.py
"""

import os
import shlex
import socket
import sys

from yarnspawner import TEMPLATE_PATHS

c = get_config()

# -- The hub, as browsers see it ---------------------------------------------------------------------------------------

# Browsers talk to the proxy. On anything but one machine of your own, give it a certificate, or put it behind a web
# server that has one.
c.JupyterHub.bind_url = os.environ.get("YARNSPAWNER_BIND_URL", "http://:8000")
# c.JupyterHub.ssl_cert = "/etc/jupyterhub/hub.pem"
# c.JupyterHub.ssl_key = "/etc/jupyterhub/hub.key"

# The hub's memory: its database and the secret that cookies are signed and the spawner's state is sealed with.
state = os.environ.get("YARNSPAWNER_STATE", ".")
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{state}/jupyterhub_cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{state}/jupyterhub-proxy.pid"

# The proxy's own interface is for the hub alone.
c.ConfigurableHTTPProxy.api_url = os.environ.get("YARNSPAWNER_PROXY_API_URL", "http://127.0.0.1:8001")

# -- The hub, as the cluster's nodes see it ----------------------------------------------------------------------------

# Users' servers call the hub from the nodes. That they cannot is the commonest first failure: it must not be a loopback
# address, the nodes must know the name, and no firewall may close the port.
hub = os.environ.get("YARNSPAWNER_HUB_ADDRESS") or socket.getfqdn()
c.JupyterHub.hub_connect_ip = hub
c.JupyterHub.hub_ip = hub if hub.startswith("127.") else "0.0.0.0"
c.JupyterHub.hub_port = int(os.environ.get("YARNSPAWNER_HUB_PORT", "8081"))

# Servers go on while the hub is restarted, and are found again.
c.JupyterHub.cleanup_servers = False

# The proxy, too, can go on without the hub: start it by itself, with the same token.
# c.ConfigurableHTTPProxy.should_start = False
# c.ConfigurableHTTPProxy.auth_token = "..."    # or CONFIGPROXY_AUTH_TOKEN in the environment of both

# -- Who may log in ----------------------------------------------------------------------------------------------------

c.Authenticator.admin_users = set(os.environ.get("YARNSPAWNER_ADMINS", "").split())

# Everyone with an account on the hub's machine. Nearly every site has something better; see
# https://oauthenticator.readthedocs.io and https://github.com/jupyterhub/ldapauthenticator.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allow_all = True

# -- The hub on the cluster --------------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "yarn"

# With Kerberos, the hub logs in with a keytab and starts every server as its user. In core-site.xml of the
# ResourceManager and the NameNode (and `yarn rmadmin -refreshSuperUserGroupsConfiguration`, `hdfs dfsadmin
# -refreshSuperUserGroupsConfiguration`) it must be allowed to:
#
#     hadoop.proxyuser.jupyterhub.hosts   hub.example.com
#     hadoop.proxyuser.jupyterhub.groups  analysts
c.YarnSpawner.principal = os.environ.get("YARNSPAWNER_PRINCIPAL")
c.YarnSpawner.keytab = os.environ.get("YARNSPAWNER_KEYTAB")

# The Hadoop user of a user of the hub. Without this line, both have the same name.
# c.YarnSpawner.hadoop_user = lambda spawner: spawner.user.name.removesuffix("@example.com")

# -- What a server gets ------------------------------------------------------------------------------------------------

c.YarnSpawner.queue = os.environ.get("YARNSPAWNER_QUEUE", "default")
# c.YarnSpawner.queue = "root.users.{username}"

c.YarnSpawner.mem_limit = "1 G"  # YARN ends a container that takes more
c.YarnSpawner.cpu_limit = 1  # virtual cores
# c.YarnSpawner.gpus = 1
# c.YarnSpawner.node_label = "gpu"

# Python, Jupyter and this package in the container: either a folder that each node has, or an archive made with
# conda-pack or venv-pack, best in HDFS and readable by all, so that each node keeps one copy.
environment = os.environ.get("YARNSPAWNER_ENVIRONMENT", sys.prefix)
if environment.endswith((".tar.gz", ".zip")):
    c.YarnSpawner.localize_files = {"environment": {"source": environment, "visibility": "public"}}
    environment = "environment"
c.YarnSpawner.prologue = f"source {shlex.quote(environment)}/bin/activate"

# What users find in the environment of their notebooks. It travels in a private file, but each user can read all of it.
# c.YarnSpawner.environment = {"SPARK_HOME": "/opt/spark"}

# A firewall between the hub and the nodes wants to know the ports. A node needs as many as it has servers at a time.
# c.YarnSpawner.port_range = (40000, 40999)

# Seconds that a start may take: a queue may be full, and the first start on a node copies the environment there.
c.YarnSpawner.start_timeout = 300

# Seconds that a server has to end its kernels and itself in order when it is stopped, before YARN ends the container.
c.YarnSpawner.stop_timeout = 30

# Several servers for one user; so a login leads to the list of them, and starts none by itself.
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 3
c.JupyterHub.redirect_to_server = False

# -- What users may choose ---------------------------------------------------------------------------------------------

# The page that comes before a server starts. Everything that a profile overrides is one of the settings above; what
# users choose is checked, whether it comes from the page or the REST API. See docs/profiles.md.
c.YarnSpawner.profile_list = [
    {
        "display_name": "Small",
        "description": "To look at data, and for whatever Spark or Hive do elsewhere on the cluster.",
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
            "mem_limit_choices": {"minimum": "512 M"},  # the end of the range is the cluster's own
            "cpu_limit_choices": {"maximum": 4},
            "queue_choices": os.environ.get("YARNSPAWNER_QUEUES", c.YarnSpawner.queue).split(),
        },
    },
]

# A server's end, in seconds after its start. YARN sees to it; users are told, also on the hub's home page.
# c.YarnSpawner.maximum_lifetime = 24 * 3600
c.JupyterHub.template_paths = TEMPLATE_PATHS

# -- Who looks after it ------------------------------------------------------------------------------------------------

# Admins have all rights but to enter users' servers. These see the admin page, and start and stop servers:
# c.JupyterHub.load_roles.append(
#     {"name": "helpdesk", "groups": ["helpdesk"], "scopes": ["admin-ui", "list:users", "list:groups", "admin:servers"]}
# )

# Servers that nobody has used for an hour end (pip install jupyterhub-idle-culler):
# c.JupyterHub.services.append(
#     {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
# )
# c.JupyterHub.load_roles.append(
#     {"name": "culler", "services": ["culler"], "scopes": ["list:users", "read:users:activity", "delete:servers"]}
# )

# -- The demo ----------------------------------------------------------------------------------------------------------

# Its users have no accounts, its cluster is one machine, and it is gone in an hour. None of this belongs into yours.
if "YARNSPAWNER_DEMO_PASSWORD" in os.environ:
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = os.environ["YARNSPAWNER_DEMO_PASSWORD"]
    c.SharedPasswordAuthenticator.admin_password = os.environ["YARNSPAWNER_DEMO_ADMIN_PASSWORD"]
    c.Authenticator.allow_all = False
    c.Authenticator.allowed_users = {"alice", "bob", "carl"}
    # A notebook finds Hadoop's clients where the hub does.
    c.YarnSpawner.env_keep = ["HADOOP_CONF_DIR", "JAVA_HOME", "KRB5_CONFIG", "PATH"]
    # Without Kerberos all containers run as whoever has started the cluster, and Jupyter does not like that to be root.
    if os.getuid() == 0 and not c.YarnSpawner.principal:
        c.YarnSpawner.args = ["--allow-root"]
