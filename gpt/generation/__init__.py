"""From prompts to text: decoding, sampling, conversations, ensembles."""
