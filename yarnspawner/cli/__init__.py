"""The command ``yarnspawner``."""
