"""The subcommands of `gpt`: each is a dataclass whose fields are its options, and one library call.

Text and ``--json`` go to stdout, all else to stderr. What goes wrong is raised, and `gpt.__main__`
makes one line and an exit code of it. torch is imported by the calls, so ``--help`` is quick.
"""
