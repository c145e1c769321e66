"""``python -m benches``: run all benchmarks in sequence."""

from benches import encode, generate, learn, train
from benches.command import command

if __name__ == "__main__":
    command(encode.run, train.run, learn.run, generate.run)()
