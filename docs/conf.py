"""How Sphinx builds the site: from the Markdown that a forge shows too, with nothing fetched."""

from __future__ import annotations

from pathlib import Path

import tomllib
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

project = "coldproof"
author = "The coldproof maintainers"
copyright = author  # noqa: A001
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
extensions = ["myst_parser"]

# The repository is the source folder, so that links between docs/, README.md and the example are
# the same on a forge and here.
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "reports/example/*.md"]
exclude_patterns = ["**/.*", ".*"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]
nitpicky = True
# Blocks without a language are commands and what they print.
highlight_language = "none"

html_theme = "furo"
html_title = f"coldproof {release}"
html_extra_path = ["root"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        "font-stack--monospace": "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
    },
}


def unlink_folders(app: Sphinx, doctree: nodes.document) -> None:
    """Keeps the words of a link to a folder of the repository: a forge lists it, a site cannot."""
    here = (ROOT / app.env.doc2path(app.env.docname, base=False)).parent
    for link in list(doctree.findall(pending_xref)):
        if link["reftype"] == "myst" and (here / str(link["reftarget"])).is_dir():
            link.replace_self(link.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers what Sphinx is to call."""
    app.connect("doctree-read", unlink_folders)
    return {"parallel_read_safe": True}
