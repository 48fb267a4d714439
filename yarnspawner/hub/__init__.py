"""What there is once for a hub."""
