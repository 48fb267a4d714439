"""Modules that all parts use. They import nothing else of the package."""
