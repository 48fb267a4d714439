"""What runs in the container: the recipes that start a server or a kernel there and say where it listens.

``python -m yarnspawner.singleuser`` starts a JupyterHub server, ``python -m yarnspawner.singleuser.kernel`` an IPython
kernel. Nothing here imports what belongs to the hub, except :mod:`yarnspawner.common.protocol`.
"""
