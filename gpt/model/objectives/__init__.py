"""Objectives: what training minimizes, as losses of a model on a batch."""
