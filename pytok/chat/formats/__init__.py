"""The formats of chats: one module each, and `table`, the list of all of them.

A format recognizes a file by its first bytes, never by its name, and reads it to a `Source`. To add
one, write its module and add it to `table.FORMATS`, or, for JSON, to `json_documents.JSON_FORMATS`.
"""
