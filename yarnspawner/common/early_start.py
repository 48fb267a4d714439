"""What the hub's script and the recipe agree on for a server that starts before skein's application master has registered."""

REGISTRATION_VARIABLE = "YARNSPAWNER_REGISTRATION"
"""Environment variable with the path of a file that appears once the application master has registered.

Each of its lines is ``NAME=value``: the variables that skein sets for its scripts.
"""
