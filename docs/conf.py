"""The documentation as a site: Sphinx with MyST, read and built without network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fishergauge"
language = "en"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "repository_files",
    "command_line",
    "generated_tables",
    "glossary_terms",
    "public_names",
]

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4

# every reference must be found, but for those to other packages, which have no pages here, and to modules without a page
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(torch|numpy|scipy|collections|pathlib|abc|typing|argparse|datetime)\..*"),
    ("py:mod", r"fishergauge\..*"),
]
nitpick_ignore = [
    ("py:class", "Case"),  # what a claim measures; not for users
    ("py:class", "ProbeCase"),  # the same of a probe
    ("py:class", "fishergauge.reference.distributed_ranks.T"),  # a variable of types
    ("py:class", "tuple[str"),  # half of an annotation with "|"
    ("py:meth", "join"),
    ("py:attr", "values"),
]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_display_short_literal_types = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Reference", "References")]

html_theme = "furo"
html_title = "fishergauge"
html_static_path = ["_static"]
html_css_files = ["site.css"]
exclude_patterns = ["_ext", "_static", "ci"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_permalinks_icon = "#"
html_math_renderer = "mathml"
math_number_all = False
