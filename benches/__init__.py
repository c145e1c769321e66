"""Speed and memory beside the peers; every answer is checked before it is timed.

`libraries`, `encoders` and `trainers` are the tables of who takes part: a new peer is a row there.
`encode` and `train` ask the questions, on what `texts` and `workloads` make; libraries run in fresh
processes (`contest`, `cold`, `trainers`). `time_to_loss` asks how soon a model learns.
"""
