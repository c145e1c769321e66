"""Mechanisms: modules with their formulas and sources. `gpt.nn.build` maps specs to them."""
