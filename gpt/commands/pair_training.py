"""`gpt train` on pairs of a source and a target, and the choice between that and texts."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpt.commands.settings import OptionsError
from gpt.commands.training import Training
from gpt.errors import ConfigError, DataError
from gpt.parallel.launch import launched
from gpt.runs.retention import find_checkpoint
from gpt.spec.overrides import Overrides
from gpt.spec.pair_presets import PAIR_PRESETS, plan_pairs
from gpt.spec.recipe import Recipe
from gpt.spec.task import Pairs, Pretraining
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.parallel.world import World
    from gpt.report.samples import Sampler

PRESET = "transformer"
"""The preset of a new run on pairs, unless another is set."""


@dataclass(frozen=True, kw_only=True)
class PairTraining(Training):
    """What a command line asks for, of a model that reads pairs."""

    def check(self) -> None:
        """Raise OptionsError if no plan fits the options."""
        if self.val_data is not None:
            raise OptionsError("--val-data applies to token files only; remove it")
        if self._newest() is not None:
            return
        try:
            self._planned(longest=64, tokens=1_000_000)
        except ConfigError as error:
            raise OptionsError(str(error)) from None

    def _recipe(self, world: World, begin: float) -> Recipe:
        """Prepare the pairs; return the recipe of the run in `out`, or a new one for them."""
        from gpt.data.pair_files import TOKENIZER, TRAIN
        from gpt.data.pairs import EncodedPairs
        from pytok.tokenizer import Tokenizer

        if (newest := self._newest()) is not None:
            return self._resumed(newest, preset=None)
        data = self._prepared()
        pairs = EncodedPairs.open(data / TRAIN, Tokenizer.load(data / TOKENIZER))
        planned = self._planned(longest=pairs.longest, tokens=pairs.num_targets)
        return dataclasses.replace(planned, data=data)

    def _planned(self, *, longest: int, tokens: int) -> Recipe:
        """Return the plan for pairs of these sizes, with what was given."""
        given: Mapping[str, object] = self.overrides.values
        planned = plan_pairs(
            preset=self.preset or PRESET,
            depth=self.depth,
            longest=longest,
            tokens=tokens,
            given=given,
            data=self.data,
            out=self.out,
        )
        return self.overrides.over(planned)

    def _prepared(self) -> Path:
        """Return the folder of the pairs, which is made if need be."""
        from gpt.data.pair_files import is_pair_folder, prepare_pairs

        if launched() > 1 and not is_pair_folder(self.data):
            raise DataError(
                f"{self.data}: each of several processes would copy it; train a step with one "
                f"process, then pass --data {self.out / 'data'}"
            )
        with Bars() as bars:
            return prepare_pairs(
                self.data,
                self.out,
                tokenizer=self.tokenizer,
                val=self.val,
                progress=bars.update,
                notice=say,
            )

    def _sampler(self) -> type[Sampler]:
        """Return what translates during training."""
        from gpt.report.samples import TranslationSampler

        return TranslationSampler


TRAININGS: Mapping[str, type[Training]] = {
    Pretraining.__name__: Training,
    Pairs.__name__: PairTraining,
}
"""For each task that `gpt train` makes, by the name of its spec, what does it."""


def training_of(preset: str | None, given: Overrides, out: Path) -> type[Training]:
    """Return what trains: by the run in *out*, the task or model among *given*, or the *preset*."""
    kind = Pairs.__name__ if preset in PAIR_PRESETS else None
    if given.values.get("model.kind") in ("EncoderDecoder", "Recurrent"):
        kind = Pairs.__name__
    kind = given.values.get("task.kind", kind)
    newest = find_checkpoint(out)
    if kind is None and newest is not None:
        from gpt.runs.reading import read_state

        saved = type(read_state(newest).recipe.task).__name__
        kind = saved if saved in TRAININGS else None
    kind = kind or Pretraining.__name__
    if kind not in TRAININGS:
        message = f"task.kind = {kind}, and `gpt train` is for {' and '.join(TRAININGS)}"
        source = given.sources.get("task.kind")
        named = f"{source}: {message}" if source else message
        raise OptionsError(f"{named}; use `gpt tune {shlex.quote(str(out))}`")
    return TRAININGS[kind]
