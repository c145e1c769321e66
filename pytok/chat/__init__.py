"""From a chat export to conversations that a model can learn from; nothing leaves the machine."""
