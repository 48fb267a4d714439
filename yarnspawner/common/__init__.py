"""What all parts use; it imports nothing else of the package."""
