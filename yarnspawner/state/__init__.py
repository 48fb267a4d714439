"""What the hub stores about a server so that it survives a restart of the hub."""
