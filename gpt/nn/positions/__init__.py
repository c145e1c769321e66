"""Position encodings: which token is where, in embeddings, queries and keys, scores, or outputs."""
