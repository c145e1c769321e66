"""What a model is trained on: rows of token shards and of conversations."""
