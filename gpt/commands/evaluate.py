"""`gpt eval`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from gpt.errors import ConfigError
from pytok.counted import counted
from pytok.terminal import Bars

if TYPE_CHECKING:
    from gpt.parallel.runtime import Runtime
    from gpt.runs.reading import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a model: bits per byte over a whole split or text, or its answers to questions."""

    run: tyro.conf.Positional[Path]
    """A run's folder, for its newest checkpoint; RUN/best; or one checkpoint's folder."""
    ensemble: tuple[Path, ...] = ()
    """Further runs with the same tokenizer, to predict with it: probabilities are averaged."""
    data: Path | None = None
    """Folder of token shards, or a text, which is tokenized on the way; none: the shards that the
    run learnt from."""
    split: str | None = None
    """Which split of the shards. None: val."""
    stride: int | None = None
    """Tokens between the beginnings of windows: fewer than the context, and each token is predicted
    from more of the text, for as much more time; none: a context, no token is read twice."""
    choices: Path | None = None
    """Multiple choice instead: JSON lines of HellaSwag, or of question, choices and answer."""
    style: bool = False
    """Whether it sounds like them instead: the share of its turns that a classifier takes for the
    authors'. --data is a chat then."""
    against: Path | None = None
    """With --style, a run to hold it against, such as the base that was tuned."""
    turns: int = 200
    """With --style, how many turns each model writes."""
    json: bool = False
    """Print one JSON object instead of text."""
    device: str = "auto"
    """auto, cpu or cuda."""
    dtype: str = "auto"
    """auto, float32 or bfloat16."""

    def __call__(self) -> int:
        """Print the losses, or the accuracy; 0."""
        from gpt.parallel.runtime import Runtime
        from gpt.runs.reading import read_checkpoint

        checkpoint = read_checkpoint(self.run)
        runtime = Runtime.choose(self.device, self.dtype)
        if self.style and self.choices is not None:
            raise ConfigError("--style and --choices are two measures; choose one")
        if self.ensemble and self.style:
            raise ConfigError("--style is of one run; leave --ensemble away")
        if self.against is not None and not self.style:
            raise ConfigError("--against is of --style; give both, or neither")
        measure = self._losses if self.choices is None else self._answers
        if self.style:
            measure = self._styles
        with Bars() as bars:
            figures, lines = measure(checkpoint, runtime, bars)
        if self.json:
            print(json.dumps({"step": checkpoint.state.step, **figures}))
        else:
            print("\n".join(lines))
        return 0

    def _losses(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[Mapping[str, Any], list[str]]:
        from gpt.data.shards import open_split_or_text
        from gpt.evaluation.bits_per_byte import evaluate
        from gpt.generation.ensemble import open_ensemble

        state = checkpoint.state
        data = self.data or (state.recipe.data if state.train_tokens else None)
        if self.split is not None and data is not None and data.is_file():
            raise ConfigError(f"{data}: --split is of shards, and text has none; leave it away")
        with open_split_or_text(
            data, self.split or "val", checkpoint.tokenizer, state.fingerprint
        ) as split:
            result = evaluate(
                open_ensemble(checkpoint, self.ensemble, runtime.device),
                split,
                runtime=runtime,
                document_mask=state.recipe.document_mask,
                stride=self.stride,
                progress=lambda done, total: bars.update("evaluate", done, total),
            )
        return dataclasses.asdict(result), [
            f"step {state.step}, {data}: {counted(result.tokens, 'token')} predicted",
            f"  {result.bits_per_byte:.4f} bits per byte ({counted(result.bytes, 'byte')})",
            f"  {result.nats_per_token:.4f} nats per token, perplexity {result.perplexity:.2f}",
        ]

    def _answers(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[Mapping[str, Any], list[str]]:
        from gpt.evaluation.multiple_choice import choose_all, read_questions
        from gpt.generation.ensemble import open_ensemble

        assert self.choices is not None
        result = choose_all(
            open_ensemble(checkpoint, self.ensemble, runtime.device),
            checkpoint.tokenizer(),
            read_questions(self.choices),
            runtime=runtime,
            progress=lambda done, total: bars.update("evaluate", done, total),
        )
        questions = counted(result.questions, "question")
        lines = [f"step {checkpoint.state.step}, {self.choices}: {questions}"]
        for name, value in (("acc", result.acc), ("acc_norm", result.acc_norm)):
            lines.append(f"  {name:<8} {value.rate:.4f} (95%: {value.low:.4f} to {value.high:.4f})")
        return dataclasses.asdict(result), lines

    def _styles(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[Mapping[str, Any], list[str]]:
        from gpt.evaluation.style import measure_style
        from gpt.runs.reading import read_checkpoint

        other = None if self.against is None else read_checkpoint(self.against)
        data = self.data or checkpoint.state.recipe.data
        result = measure_style(
            checkpoint,
            checkpoint.model(runtime.device),
            data,
            against=None if other is None else (other, other.model(runtime.device)),
            turns=self.turns,
            progress=lambda done, total: bars.update("turns written", done, total),
        )
        lines = [f"step {checkpoint.state.step}, {data}: {counted(result.turns, 'turn')}"]
        shares = {"real": result.real, "written": result.written, "against": result.against}
        for name, value in shares.items():
            if value is not None:
                lines.append(
                    f"  {name:<8} {value.rate:.4f} (95%: {value.low:.4f} to {value.high:.4f})"
                )
        return dataclasses.asdict(result), lines
