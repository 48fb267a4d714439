"""One start: from settings to a server that responds."""
