"""The command yarnspawner."""
