"""The pages of the documentation site that are made from the code, and the links between all pages.

`docs/conf.py` registers `extension`. The other modules import no Sphinx and can be tested without.
"""
