"""Text generation: decoding with a cache, sampling, conversations, ensembles."""
