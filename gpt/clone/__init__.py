"""`gpt clone`: from the export of a chat to a model of one of its people."""
