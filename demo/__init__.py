"""The demo: a JupyterHub with the example configuration on a Hadoop of its own; `scripts/demo` starts it."""
