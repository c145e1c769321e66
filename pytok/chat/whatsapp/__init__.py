"""Reader of WhatsApp's "Export chat" text files, for any platform and locale.

There is no list of formats. The format of the headers is inferred from the entire file: `headers`
finds the lines that start a message, `dates` the order of day and month, `clock` the words for
morning and afternoon. `bodies` classifies messages, with the phrases of `phrases`.
"""
