"""Assembly: blocks and the model, made of mechanisms; and what is computed from their shapes."""
