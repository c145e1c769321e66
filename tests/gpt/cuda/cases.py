"""What runs on a fake CUDA device: ``python -m tests.gpt.cuda.cases DATA FOLDER``.

Prints a JSON object: for each case its error, if any, and what it made the device do.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import pytok
from gpt.data.shards import TrainingRows, open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.decoder import Decoder, inference_copy
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate_batch
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.embedding import TokenShift, ValueEmbedding
from gpt.spec.experts import BalanceBias, Experts
from gpt.spec.head import SoftCap
from gpt.spec.norm import BatchNorm
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.pattern import Window
from gpt.spec.position import ALiBi
from gpt.spec.presets import CAUSAL, PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.wiring import Lambdas, PostNorm
from gpt.training.loop import train
from gpt.training.step import TrainStep
from tests.gpt.cuda.fake import DEVICE, Observed, fake_cuda

CONTEXT, DEPTH = 32, 1
ALL_MECHANISMS: dict[str, Any] = {
    "attention": GroupedQuery(
        heads=4, kv_heads=2, pattern=Window(size=16, long_every=2), qk_norm=True
    ),
    "shift": TokenShift(),
    "residual": Lambdas(),
    "cap": SoftCap(),
    "value_embedding": ValueEmbedding(),
    "layers": 2,
    "width": 128,
}
DROPOUT = Dropout(rate=0.1, hidden=0.1, path=0.1, path_grows=False)
TOKENS = 4


class Cases:
    """The cases, on the shards in *data*, with runs in *folder*."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.table: dict[str, Callable[[Observed], object]] = {}
        for preset in CAUSAL:
            self.table[f"step {preset} Muon bfloat16"] = self.step(preset)
            self.table[f"step {preset} AdamW float32"] = self.step(preset, AdamW(), "float32")
            self.table[f"evaluation {preset}"] = self.evaluation(preset)
            self.table[f"generation {preset}"] = self.generation(preset)
        self.table |= {
            "step document mask": self.step(document_mask=True),
            "step recompute": self.step(recompute=True),
            "step average": self.step(average=0.9),
            "step accumulate": self.step("gpt2", accumulate=8),
            "step clip": self.step(clip=1.0),
            "step dropout": self.step(dropout=DROPOUT),
            "step all mechanisms": self.step(**ALL_MECHANISMS),
            "step ALiBi": self.step(position=ALiBi()),
            "step post-norm": self.step(wiring=PostNorm()),
            "step experts": self.step(mlp=Experts(balance=BalanceBias(), shared=1)),
            "step experts float32": self.step(dtype="float32", mlp=Experts(count=4)),
            "step batch norm": self.step(norm=BatchNorm(leaks=True)),
            "evaluation float32": self.evaluation(dtype="float32"),
            "evaluation document mask": self.evaluation(document_mask=True),
            "generation 3 rows": self.generation(rows=3),
            "generation past the context": self.generation(tokens=12, context=8),
            "generation all mechanisms": self.generation(rows=2, **ALL_MECHANISMS),
            "generation ALiBi": self.generation(rows=2, position=ALiBi()),
            "generation bfloat16 linears": self.generation(linears=torch.bfloat16),
            "generation int8 linears": self.generation(rows=3, linears=torch.int8),
            "generation greedy": self.generation(sampling=Sampling(temperature=0)),
            "generation all filters": self.generation(
                rows=2,
                sampling=Sampling(repetition_penalty=1.2, top_k=5, top_p=0.9, min_p=0.1),
            ),
            "generation of texts that end": self.ending,
            "run": self.run,
        }
        self.wrong: dict[str, Callable[[Observed], object]] = {
            "two devices": lambda observed: (torch.ones(2) + torch.ones(2, device=DEVICE)).sum(),
            "item": lambda observed: torch.ones(2, device=DEVICE).sum().item(),
            "tolist": lambda observed: torch.ones(2, device=DEVICE).tolist(),
            "cpu": lambda observed: torch.ones(2, device=DEVICE).cpu(),
            "bool": lambda observed: bool(torch.ones(2, device=DEVICE).all()),
            "nonzero": lambda observed: torch.ones(2, device=DEVICE).nonzero(),
            "pageable copy": lambda observed: torch.ones(2).to(DEVICE, non_blocking=True),
            "blocking copy": lambda observed: torch.ones(2, pin_memory=True).to(DEVICE),
        }
        """What must be noticed."""

    def config(self, preset: str, **fields: Any) -> GPTConfig:
        """Return a small model of *preset* with *fields* changed."""
        architecture = dataclasses.replace(PRESETS[preset](DEPTH, CONTEXT), **fields)
        return GPTConfig.over(architecture, open_data(self.data).vocab_size)

    def recipe(self, **fields: Any) -> Recipe:
        """Return a recipe with *fields*."""
        common: dict[str, Any] = {"batch_size": 4, "device": "cuda", "dtype": "bfloat16"}
        model = PRESETS["fast"](DEPTH, CONTEXT)
        common |= {"data": self.data, "out": self.folder / "run", "model": model}
        return Recipe(**(common | fields))

    def step(
        self,
        preset: str = "fast",
        optimizer: AdamW | Muon | None = None,
        dtype: str = "bfloat16",
        document_mask: bool = False,
        recompute: bool = False,
        average: float | None = None,
        accumulate: int = 1,
        clip: float | None = None,
        **model: Any,
    ) -> Callable[[Observed], object]:
        """Make two training steps; the second is observed."""

        def body(observed: Observed) -> None:
            config = self.config(preset, **model)
            shards = open_data(self.data)
            rows = TrainingRows(
                open_split(shards, "train"),
                context=CONTEXT,
                vocab_size=shards.vocab_size,
                seed=0,
                document_mask=document_mask,
            )
            recipe = self.recipe(
                optimizer=optimizer or Muon(iterations=1),
                dtype=dtype,
                recompute=recompute,
                average=average,
                accumulate=accumulate,
                clip=clip,
            )
            runtime = Runtime.choose("cuda", dtype)
            train_step = TrainStep(GPT(config), recipe, rows, runtime, ALONE)
            train_step.update(0, 0.1)
            observed.clear()
            train_step.update(1, 0.2)
            for name, parameter in train_step.model.named_parameters():
                assert parameter.device.type == "cuda", name
                assert parameter.dtype == torch.float32, name
                for key, tensor in train_step.optimizer.state[parameter].items():
                    assert tensor.device.type == "cuda", (name, key)

        return body

    def evaluation(
        self,
        preset: str = "fast",
        dtype: str = "bfloat16",
        document_mask: bool = False,
    ) -> Callable[[Observed], object]:
        """Evaluate a model on the validation split."""

        def body(observed: Observed) -> None:
            model = GPT(self.config(preset)).to(DEVICE)
            split = open_split(open_data(self.data), "val")
            runtime = Runtime.choose("cuda", dtype)
            observed.clear()
            evaluate(model, split, runtime=runtime, rows=4, document_mask=document_mask)

        return body

    def generation(
        self,
        preset: str = "fast",
        rows: int = 1,
        tokens: int = TOKENS,
        linears: torch.dtype | None = None,
        sampling: Sampling | None = None,
        **model: Any,
    ) -> Callable[[Observed], object]:
        """Generate *tokens* tokens for *rows* prompts."""

        def body(observed: Observed) -> None:
            gpt = GPT(self.config(preset, **model)).to(DEVICE).eval()
            if linears is not None:
                gpt = inference_copy(gpt, linears)
            tokenizer = pytok.load(self.data / "tokenizer.json")
            prompts = ["The first"[: 9 - row] for row in range(rows)]
            sampling_ = sampling or Sampling(top_k=5, top_p=0.9)
            observed.clear()
            list(generate_batch(gpt, tokenizer, prompts, max_tokens=tokens, sampling=sampling_))

        return body

    def ending(self, observed: Observed) -> None:
        """Remove two of three texts from a batch."""
        model = GPT(self.config("fast")).to(DEVICE).eval()
        decoder = Decoder(model, [[1], [2, 3], [4]])
        decoder.append([1, 2, 3])
        decoder.keep([1])
        decoder.append([1])
        assert decoder.logits.shape[0] == 1

    def run(self, observed: Observed) -> None:
        """Train with evaluations and checkpoints, then resume; the model is on the device."""
        recipe = self.recipe(
            optimizer=Muon(iterations=1),
            steps=2,
            eval_every=2,
            checkpoint_every=1,
            average=0.9,
            patience=3,
            compile=False,
        )
        train(recipe)
        outcome = train(dataclasses.replace(recipe, steps=4))
        assert outcome.state.step == 4
        model = read_checkpoint(recipe.out).model("cuda")
        assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}


def observe(case: Callable[[Observed], object]) -> dict[str, Any]:
    """Run *case*; return its error, if any, and what it made the device do."""
    with fake_cuda() as observed:
        try:
            case(observed)
            error = None
        except Exception:
            error = traceback.format_exc()
    return {
        "error": error,
        "waits": observed.waits,
        "blocking": observed.blocking,
        "asynchronous": observed.asynchronous,
        "attention": observed.attention,
        "kernels": observed.kernels,
    }


def main() -> None:
    """Run all cases, or those whose names contain a word."""
    data, folder, *words = sys.argv[1:]
    cases = Cases(Path(data), Path(folder))
    everything = cases.table | cases.wrong
    chosen = {n: case for n, case in everything.items() if not words or any(w in n for w in words)}
    print(json.dumps({name: observe(case) for name, case in chosen.items()}, indent=1))


if __name__ == "__main__":
    main()
