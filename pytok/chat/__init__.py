"""Chat exports to conversations that a model can be trained on, without any network access."""
