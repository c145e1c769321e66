"""Speed and memory beside the peers; every answer is checked before it is timed.

`encoders` and `trainers` are the tables of who takes part: a new peer is a row there. `encode` and
`train` ask the questions, `texts` makes what they are asked on.
"""
