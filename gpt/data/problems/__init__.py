"""Problems whose answers a program checks: prompts, and rewards of completions."""
