"""``python -m benches``: both benchmarks, one after the other."""

from benches import encode, train
from benches.command import command

if __name__ == "__main__":
    command(encode.run, train.run)()
