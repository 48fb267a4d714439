"""What yarnspawner costs, side by side with the bare cluster: ``python -m benchmarks --help``."""
