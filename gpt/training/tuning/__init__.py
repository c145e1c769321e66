"""Tuning: planning a run that starts from a trained model, and comparing it with that model."""
