"""Models in the formats of other software: Hugging Face folders out and in, GGUF files out."""
