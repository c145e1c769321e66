"""What experiments are made with: texts, small trainings, definitions to compare with, probes."""
