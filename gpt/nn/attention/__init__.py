"""Attention in parts: projections, scores, patterns, normalizers, kernels."""
