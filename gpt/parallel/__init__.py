"""The processes and the devices of a run."""
