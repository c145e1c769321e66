"""Models in the formats of other software, read and written: Hugging Face folders, GGUF files."""
