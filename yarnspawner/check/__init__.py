"""Check the hub's machine and its cluster before users come (``yarnspawner check``)."""
