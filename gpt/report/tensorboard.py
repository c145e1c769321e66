"""TensorBoard events of a run, in `tensorboard/` of its folder."""

from __future__ import annotations

from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from gpt.report.events import NullReporter, Start
from gpt.runs.metrics import Row


class TensorBoard(NullReporter):
    """Writes the figures of each step as events. A context manager."""

    def __init__(self) -> None:
        self._writer: SummaryWriter | None = None
        self._last: Row | None = None

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def began(self, start: Start) -> None:
        """Open an event file; TensorBoard then ignores older events of later steps."""
        if start.folder is not None:
            self._writer = SummaryWriter(
                str(start.folder / "tensorboard"), purge_step=start.step + 1
            )

    def row(self, row: Row, steps: int) -> None:
        """Write the figures of *row*."""
        values = {
            "loss/train": row.loss,
            "bits per byte/train": row.bits_per_byte,
            "learning rate": row.lr,
            "gradient norm": row.gradient_norm,
        }
        for name, figure in (row.val or {}).items():
            values[f"{name.replace('_', ' ')}/validation"] = figure
        if self._last is not None:
            seconds = row.seconds - self._last.seconds
            values["tokens per second"] = (row.tokens - self._last.tokens) / seconds
        self._last = row
        for name, value in values.items():
            if value is not None and self._writer is not None:
                self._writer.add_scalar(name, value, row.step)
