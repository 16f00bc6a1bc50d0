"""How Sphinx builds these pages; `make docs` turns every warning, broken links included, into an error."""

from importlib.metadata import version as installed_version

project = "tokenstore"
author = "the tokenstore authors"
copyright = author  # noqa: A001  (the name Sphinx reads)
version = release = installed_version("tokenstore")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"tokenstore {release}"
html_show_sphinx = False
