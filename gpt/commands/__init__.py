"""The subcommands of `gpt`: each parses its options and makes one call of the library.

Text and ``--json`` go to stdout, everything else to stderr. Errors are raised; `gpt.__main__` turns
them into one line and an exit code. Modules that need torch are imported when a command runs, so
``--help`` is quick.
"""
