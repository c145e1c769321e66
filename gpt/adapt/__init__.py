"""Adapters: LoRA, DoRA, and trained rows for new tokens. They wrap modules by name."""
