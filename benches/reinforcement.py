"""Reinforcement of a small model: trained from scratch, tuned on solved problems, then by rewards.

``python -m benches.reinforcement --out DIR``. For each seed:

1. pretraining on solved problems, eight digits to sort, stopped while most answers are wrong;
2. supervised fine-tuning (SFT) on 2,000 further solved problems;
3. from there, arms of as many steps: GRPO; GRPO whose reward is the toss of a coin; more SFT on the
   same solved problems; and SFT on new ones, as many as GRPO has prompts.

Every model answers the same held-out problems, which no stage has seen: pass@1 sampled at
temperature 1, and greedy. Means over seeds have 95% t intervals; gains are paired by seed. The
result is a JSON file with all figures, and a Markdown table.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import pytok
from benches.report import machine, show
from gpt.data.problems.build import build_problems
from gpt.data.problems.coding import Coding
from gpt.evaluation.problems import evaluate_problems
from gpt.lab.statistics import mean
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.objective import GRPO
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.position import Rope
from gpt.spec.problems import Prompts, Sorting
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Linear
from gpt.training.loop import train
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok import shards
from pytok.definition import END_OF_TEXT

PROBLEMS = Sorting(length=8)
MAX_TOKENS = PROBLEMS.length + 4
TEXTS, SOLVED = 20_000, 2_000
"""Solved problems of pretraining, and of SFT."""
FRESH = 2**31 + 1
"""Seed of the problems that the models are compared on; runs are evaluated on others."""
COIN = """
import random

coin = random.Random(0)

def reward(prompt, completion):
    return float(coin.random() < 0.5)
"""
"""A reward function that knows nothing."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The length and the learning rates of the stages."""

    pretraining: int
    """Steps of pretraining."""
    sft: int
    """Steps of SFT."""
    steps: int
    """Steps of each arm after that."""
    prompts: int
    group: int
    lr: float
    """Learning rate of the matrices in GRPO, for Muon."""
    sft_lr: float
    """Learning rate of SFT, for AdamW."""
    loss: Any = "dapo"


DEFAULT = Setting(pretraining=130, sft=40, steps=60, prompts=32, group=8, lr=3e-3, sft_lr=1e-3)
MODEL = Architecture(
    context=64,
    layers=2,
    width=64,
    attention=GroupedQuery(heads=2, kv_heads=2),
    position=Rope(),
    mlp=MLP(activation="relu2"),
    norm=LayerNorm(bias=False),
    tie=False,
)
ALIKE: Mapping[str, Any] = {"device": "cpu", "dtype": "float32", "compile": False, "threads": 1}


class Seed:
    """The stages and arms of one seed, each a run in a folder of its own."""

    def __init__(self, folder: Path, seed: int, setting: Setting, count: int) -> None:
        self.folder, self.seed, self.setting, self.count = folder, seed, setting, count
        self.results: dict[str, dict[str, float]] = {}

    def run(self, arms: Sequence[str]) -> dict[str, dict[str, float]]:
        """Run all stages and the *arms*; return the figures of each."""
        self._stage("pretraining", self._pretrain)
        self._stage("SFT", self._first_sft)
        for arm in arms:
            self._stage(arm, ARMS[arm].__get__(self))
        return self.results

    def _stage(self, name: str, make: Callable[[Path], object]) -> None:
        """Make the run *name*, and measure its model."""
        out = self._path(name)
        wall, processor = time.perf_counter(), time.process_time()
        make(out)
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - processor}
        figures = {**self._measure(out), **seconds}
        if name in ("GRPO", "coin"):
            rows = read_metrics(out / "metrics.jsonl")
            figures["first_reward"] = statistics.mean(r.figures["reward"] for r in rows[:5])
            figures["last_reward"] = statistics.mean(r.figures["reward"] for r in rows[-5:])
        self.results[name] = figures
        shown = " ".join(f"{key} {value:.3f}" for key, value in figures.items())
        click.echo(f"seed {self.seed} {name}: {shown}", err=True)

    def _pretrain(self, out: Path) -> None:
        """Train a model from scratch on solved problems."""
        train(
            Recipe(
                data=self._shards("texts", self.seed, TEXTS),
                out=out,
                steps=self.setting.pretraining,
                batch_size=16,
                optimizer=Muon(),
                schedule=Linear(decay=0.6),
                seed=self.seed,
                eval_every=self.setting.pretraining,
                checkpoint_every=self.setting.pretraining,
                model=MODEL,
                **ALIKE,
            )
        )

    def _first_sft(self, out: Path) -> None:
        """Train the model after pretraining on the solved problems of SFT."""
        data = self._shards("solved", 10_000 + self.seed, SOLVED)
        self._sft("pretraining", out, data, self.setting.sft)

    def _more_sft(self, out: Path) -> None:
        """Go through the same solved problems again, for as many steps as GRPO has."""
        self._sft("SFT", out, self._path("solved"), self.setting.steps)

    def _new_sft(self, out: Path) -> None:
        """Train on as many new solved problems as GRPO has prompts, for as many steps."""
        count = self.setting.steps * self.setting.prompts
        data = self._shards("new", 20_000 + self.seed, count)
        self._sft("SFT", out, data, self.setting.steps)

    def _sft(self, base: str, out: Path, data: Path, steps: int) -> None:
        """Train all weights of the run *base* on the texts *data*, without dropout.

        No text comes twice in the first SFT, and with dropout it makes a model of this size worse.
        """
        plan = plan_tuning(self._path(base), data=data, out=out, adapter=None, seed=self.seed)
        model = dataclasses.replace(plan.recipe.model, dropout=Dropout())
        optimizer = AdamW(lr=self.setting.sft_lr, betas=(0.9, 0.99))
        self._tune(plan, steps, optimizer=optimizer, batch_size=16, model=model)

    def _grpo(self, out: Path) -> None:
        """Reward right answers."""
        self._reinforce(out, self._path("SFT"), PROBLEMS)

    def _coin(self, out: Path) -> None:
        """Reward answers by a coin."""
        problems = build_problems(PROBLEMS, Path())
        lines = (
            json.dumps({"prompt": problems.problem("train", self.seed, index).prompt})
            for index in range(self.setting.steps * self.setting.prompts)
        )
        file = self.folder / "prompts.jsonl"
        file.write_text("\n".join(lines) + "\n")
        function = self.folder / "coin.py"
        function.write_text(COIN)
        self._reinforce(out, file, Prompts(reward=f"{function}:reward"))

    def _reinforce(self, out: Path, data: Path, problems: Any) -> None:
        """Train all weights of the run after SFT by rewards."""
        setting = self.setting
        plan = plan_tuning(
            self._path("SFT"),
            data=data,
            out=out,
            method="grpo",
            adapter=None,
            problems=problems,
            group=setting.group,
            max_tokens=MAX_TOKENS,
            held_out=100,
            seed=self.seed,
        )
        rates = dict.fromkeys(("lr", "scale_lr"), setting.lr)
        self._tune(
            plan,
            setting.steps,
            optimizer=Muon(**rates, embedding_lr=2 * setting.lr, head_lr=setting.lr / 2),
            batch_size=setting.prompts * setting.group,
            accumulate=1,
            objective=GRPO(loss=setting.loss),
        )

    def _tune(self, plan: Any, steps: int, **fields: Any) -> None:
        """Run *plan* for *steps* steps, and keep the last model."""
        fields |= {
            "steps": steps,
            "schedule": Linear(decay=0.8),
            "eval_every": steps,
            "checkpoint_every": steps,
            "patience": None,
        }
        tune(plan.replace(**fields, **ALIKE))

    def _measure(self, run: Path) -> dict[str, float]:
        """Return pass@1 of the model of *run* on the held-out problems."""
        checkpoint, runtime = read_checkpoint(run), Runtime.choose("cpu", "float32")
        model, coding = checkpoint.model(runtime.device), Coding.of_texts(checkpoint.tokenizer())
        figures = {"parameters": float(sum(each.numel() for each in model.parameters()))}
        for name, temperature in (("sampled", 1.0), ("greedy", 0.0)):
            found = evaluate_problems(
                model,
                build_problems(PROBLEMS, Path()),
                coding,
                count=self.count,
                max_tokens=MAX_TOKENS,
                temperature=temperature,
                seed=FRESH,
                runtime=runtime,
            )
            figures[name] = found.solved / self.count
        return figures

    def _path(self, name: str) -> Path:
        """Return the folder of the run *name*."""
        return self.folder / name.replace(" ", "-").lower()

    def _shards(self, name: str, seed: int, count: int) -> Path:
        """Return token shards of *count* solved problems of the training split, byte by byte."""
        folder = self.folder / name
        if not folder.exists():
            problems = build_problems(PROBLEMS, Path())
            drawn = (problems.problem("train", seed, index) for index in range(count))
            lines = (json.dumps({"text": f"{each.prompt}{each.answer}"}) for each in drawn)
            file = folder.with_suffix(".jsonl")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
            tokenizer = pytok.train(["0"], 257, special_tokens=[END_OF_TEXT])
            shards.write(file, tokenizer, folder, val=0.02, split="documents")
        return folder


ARMS: Mapping[str, Any] = {
    "GRPO": Seed._grpo,
    "coin": Seed._coin,
    "more SFT": Seed._more_sft,
    "SFT on new problems": Seed._new_sft,
}
"""What follows SFT."""


def interval(values: Sequence[float]) -> str:
    """Return the mean of *values* in percent, with its 95% t interval."""
    found = mean([100 * value for value in values])
    if found.n < 2:
        return f"{found.value:.1f}"
    return f"{found.value:.1f} ± {found.high - found.value:.1f}"


def rows(results: Sequence[Mapping[str, Mapping[str, float]]]) -> list[list[str]]:
    """Return the rows of the table of *results*, by seed."""
    names = list(dict.fromkeys(name for result in results for name in result))
    table = []
    for name in names:
        having = [result for result in results if name in result]
        kinds = ("sampled", "greedy")
        cells = [name, str(len(having))]
        cells += [interval([each[name][kind] for each in having]) for kind in kinds]
        gains = [
            interval([each[name][kind] - each["SFT"][kind] for each in having]) for kind in kinds
        ]
        cells += gains if name in ARMS else ["", ""]
        cells.append(f"{statistics.mean(each[name]['cpu'] for each in having):.0f}")
        table.append(cells)
    return table


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option("--seeds", default=5, show_default=True, help="Number of seeds, from --first.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--problems", default=1000, show_default=True, help="Held-out problems.")
@click.option("--arm", "arms", multiple=True, default=list(ARMS), help="Arms.  [default: all]")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
def main(
    out: Path, seeds: int, first: int, problems: int, arms: Sequence[str], changes: Sequence[str]
) -> None:
    """Run all seeds, and write results.json."""
    given = (change.partition("=")[::2] for change in changes)
    types = {each.name: type(getattr(DEFAULT, each.name)) for each in dataclasses.fields(Setting)}
    setting = dataclasses.replace(DEFAULT, **{name: types[name](value) for name, value in given})
    results = []
    for seed in range(first, first + seeds):
        folder = out / f"seed-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        results.append(Seed(folder, seed, setting, problems).run(arms))
        document = {
            "machine": machine(["pytok", "torch"]),
            "setting": dataclasses.asdict(setting),
            "problems": problems,
            "seeds": results,
        }
        (out / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    columns = ["model", "seeds", "sampled, %", "greedy, %", "gain", "gain, greedy", "CPU s"]
    show("pass@1 on held-out problems", columns, rows(results))


if __name__ == "__main__":
    main()
