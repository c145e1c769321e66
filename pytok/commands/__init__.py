"""The subcommands of `pytok`: each parses its arguments and makes one call to the library.

Results go to stdout, progress and messages to stderr. Errors are raised; `pytok.__main__` turns
them into one line and an exit code. Slow imports (numpy, rich, the report) happen inside functions.
"""
