"""``yarnspawner kernel``: a kernel on the cluster, without a hub."""

EXIT_KERNEL_KEPT = 64
"""The exit status of a console whose kernel was to live on."""
