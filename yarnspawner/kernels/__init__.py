"""``yarnspawner kernel``: run a kernel on the cluster without a hub."""

EXIT_KERNEL_KEPT = 64
"""Exit status of a console that leaves its kernel running."""
