"""What a run has on disk: checkpoints and metrics."""
