"""The example configuration with sweeps that a test need not wait for."""

import os

c = get_config()  # noqa: F821
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])  # noqa: F821

# Also where the package is not installed, and its entry point unknown.
c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"
c.YarnSpawner.sweep_grace = int(os.environ.get("SWEEP_GRACE", "2"))
c.YarnSpawner.sweep_interval = int(os.environ.get("SWEEP_INTERVAL", "3"))
