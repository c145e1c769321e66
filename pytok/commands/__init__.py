"""The subcommands of `pytok`: each parses its arguments and makes one call of the library.

Results go to stdout, progress and messages to stderr. What goes wrong is raised, and
`pytok.__main__` makes one line and an exit code of it. What takes long to import (numpy, rich, the
report) is imported where it is used, so that `pytok --help` answers at once.
"""
