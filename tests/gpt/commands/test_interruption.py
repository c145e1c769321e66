"""Signals that stop a run."""

from __future__ import annotations

import os
import signal

import pytest

from gpt.commands.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded(number: signal.Signals) -> None:
    """Then the handlers are restored, so that the second signal acts at once."""
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.signal is None
        os.kill(os.getpid(), number)

        assert interruption.signal == number
        assert signal.getsignal(number) is before
