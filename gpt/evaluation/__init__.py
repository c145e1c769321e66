"""Measurements: bits per byte, multiple choice, style."""
