"""The command group `gpt classify`: from texts with labels to a model that labels texts."""

import click

from pytok.commands.help import Group, LazyCommand

COMMANDS = [
    LazyCommand(
        "train",
        "gpt.commands.classify_train:train",
        "Train a classifier of texts from a trained model.",
    ),
    LazyCommand("predict", "gpt.commands.classify_use:predict", "Predict the classes of texts."),
    LazyCommand(
        "eval",
        "gpt.commands.classify_use:evaluate",
        "Measure a classifier: accuracy, figures by class, calibration.",
    ),
    LazyCommand(
        "example",
        "gpt.commands.classify_use:example",
        "Write made-up messages, ham and spam, to try the other commands with.",
    ),
]


@click.group(
    cls=Group,
    commands=COMMANDS,
    examples="""
    gpt classify train runs/base --data SMSSpamCollection --out runs/spam --balance
    gpt classify eval runs/spam
    gpt classify predict runs/spam "You have won a prize, call now"
    """,
)
def classify() -> None:
    """Train and use a classifier of texts, such as spam or ham.

    A trained model gets a head over classes instead of the one over tokens, and this head is
    trained on texts with labels, with as much of the model as you want.
    """
