"""Training: the loop, one step, and the tasks of pretraining and fine-tuning."""
