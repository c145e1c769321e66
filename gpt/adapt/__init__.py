"""Adapters: LoRA, DoRA, and rows for new tokens, wrapped around modules by name."""
