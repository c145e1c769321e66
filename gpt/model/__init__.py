"""Models assembled from mechanisms, their parameters and FLOPs, and growing their vocabulary."""
