"""Sphinx configuration of the site: ``sphinx-build -W docs site`` (needs ``pip install '.[docs]'``).

Links to other sites are checked by ``sphinx-build -b linkcheck docs linkcheck``, which needs a network.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from detkit.about import __version__

project = "detkit"
author = "The detkit developers"
project_copyright = "the detkit developers; Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "site_pages.repository_links",
    "site_pages.notebooks",
    "site_pages.reference",
]
exclude_patterns = ["site_pages", "results", "**/__pycache__"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
smartquotes = False
highlight_language = "text"  # of blocks that name no language: output and lists of files

# The chapters of the course are notebooks: they run when the site is built, once for each version of them.
nb_execution_mode = os.environ.get("SITE_NOTEBOOKS", "cache")  # "off" builds the site without their outputs
nb_execution_timeout = 600
nb_execution_raise_on_error = True
suppress_warnings = ["myst-nb.lexer"] if nb_execution_mode == "off" else []  # which the kernel names

# Addresses of examples; and files of this repository, whose links ``tests/docs/test_links.py`` checks without a network.
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost|server|10\.|192\.168\.)", r"https://github\.com/detkit-vision/detkit"]
linkcheck_anchors = False  # sites add them by scripts
linkcheck_timeout = 30
linkcheck_workers = 2

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "detkit"
html_static_path = ["site_pages/static"]
html_css_files = ["site.css"]
html_sidebars = {"index": [], "get_started": []}  # which have no pages below them
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/detkit-vision/detkit",
    "header_links_before_dropdown": 7,
    "show_nav_level": 2,
    "navigation_with_keys": True,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "use_edit_page_button": False,
}
