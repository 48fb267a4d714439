"""The settings of ``c.YarnSpawner``: declarations and validators."""
