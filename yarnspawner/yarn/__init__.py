"""The hub's view of YARN's applications, and what it does to them."""
