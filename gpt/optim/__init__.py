"""Optimizers, schedules and weight averages. `gpt.optim.build` maps specs to them."""
