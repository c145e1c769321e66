"""Training: the loop, the optimizer step, and the tasks of pretraining and fine-tuning."""
