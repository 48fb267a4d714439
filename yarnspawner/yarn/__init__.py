"""The hub's view of YARN's applications, and its actions on them."""
