"""Models assembled from mechanisms, their parameters and FLOPs, and changes of their vocabulary."""
