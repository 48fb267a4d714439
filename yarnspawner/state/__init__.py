"""What is kept of a server for a restart of the hub."""
