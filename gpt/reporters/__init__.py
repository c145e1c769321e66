"""Who is told of a run as it goes: the console, TensorBoard, samples, the report at its end.

Each is a `gpt.reporting.Reporter`. To add one is a file here and, where people should have it, an
option of `gpt train`.
"""
