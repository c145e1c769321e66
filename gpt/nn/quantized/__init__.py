"""Quantized weights: codebooks, blocks with an absmax, and linear layers whose weights they are."""
