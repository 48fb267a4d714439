"""Sphinx's configuration: the pages of this folder as a website."""

# pip install '.[docs]' && sphinx-build -W docs docs/_build

project = "yarnspawner"
author = "yarnspawner contributors"
copyright = "2026, yarnspawner contributors"

extensions = ["myst_parser"]
html_theme = "furo"
html_title = "yarnspawner"
exclude_patterns = ["_build"]

# Links to headings work as on GitHub.
myst_heading_anchors = 3
suppress_warnings = [
    "myst.xref_missing",  # links to files of the repository that are no pages of the website
    "misc.highlighting_failure",  # IPython, which highlights its own sessions, is not needed for anything else
]
