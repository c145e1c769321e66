"""WhatsApp's "Export chat": a text file, of any platform and locale.

Nothing is read by a list of formats. What stands at the head of the lines is told by evidence over
the whole file: `headers` which lines begin a message, `dates` which number is the day, `clock`
which word means the afternoon. `bodies` tells what a message is, `phrases` has the words for it.
"""
