"""The example configuration with `internal_ssl`: the hub, its proxy and users' servers show each other certificates."""

import os

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"
c.JupyterHub.internal_ssl = True
c.JupyterHub.internal_certs_location = os.environ["YARNSPAWNER_STATE"] + "/certificates"
c.ConfigurableHTTPProxy.api_url = os.environ["YARNSPAWNER_PROXY_API_URL"].replace("http:", "https:")
c.YarnSpawner.profile_list = []
c.YarnSpawner.mem_limit = "384 M"
c.YarnSpawner.http_timeout = 60
# The container is in another folder than its files are when the server starts.
c.YarnSpawner.prologue += "\ncd /"
