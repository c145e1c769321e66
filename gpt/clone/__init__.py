"""From the export of a chat to a model of one person."""
