"""Reporters of a run: console, samples, TensorBoard, and the report page."""
