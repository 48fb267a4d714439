"""``yarnspawner kernel``: a kernel on the cluster, without a hub."""
