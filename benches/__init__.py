"""Speed and memory compared with other libraries; every result is checked before it is timed.

`libraries`, `encoders` and `trainers` are tables of what is compared: another library is a row in
them. `encode` and `train` measure on the texts of `texts` and `workloads`; libraries run in fresh
processes (`contest`, `cold`, `trainers`). `time_to_loss` measures how fast a model learns.
"""
