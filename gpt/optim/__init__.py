"""Optimizers, schedules and weight averages. `gpt.optim.build` has the tables."""
