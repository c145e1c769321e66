"""The model families of Hugging Face, one table each, and what they have in common."""
