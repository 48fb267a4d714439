"""The recipes that run in the container. They start a server or a kernel and publish its address.

``python -m yarnspawner.singleuser`` starts a JupyterHub server, ``python -m yarnspawner.singleuser.kernel`` an IPython
kernel. Nothing here imports what belongs to the hub, except :mod:`yarnspawner.common.protocol`.
"""
