"""Mechanisms: one module a spec, each its formula and its source. `gpt.nn.build` has the tables."""
