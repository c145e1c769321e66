"""Models in the formats of other software: Hugging Face folders and GGUF files, in and out."""
