"""Specs of a model and of a run, as frozen dataclasses, and their planning. Never imports torch."""
