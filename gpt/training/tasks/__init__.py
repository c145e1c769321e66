"""Tasks: the data, the first model and the evaluation of a run, for each kind of run."""
