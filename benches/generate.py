"""``python -m benches.generate``: tokens per second of greedy generation, one text at a time.

The contestants have the same weights, with 12 to 14 million parameters, and torch's default number
of threads. pytok in float32 must generate the same tokens as transformers. The prefill, batches and
CUDA are not measured.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

import pytok
from benches import report
from benches.command import Settings, command
from benches.report import Record
from benches.timing import take_turns
from gpt.generation.decoder import Decoder, inference_copy
from gpt.interop.huggingface import export_folder
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope

SIZES: dict[str, Any] = {
    "vocab_size": 4096,
    "context": 512,
    "layers": 6,
    "width": 384,
    "attention": GroupedQuery(heads=6, kv_heads=6),
}
SHAPES = {
    "gpt2": GPTConfig(
        **SIZES,
        position=Learned(),
        mlp=MLP(activation="gelu_tanh"),
        norm=LayerNorm(),
        bias=True,
        tie=True,
    ),
    "llama": GPTConfig(
        **SIZES,
        position=Rope(),
        mlp=MLP(activation="silu", gated=True, hidden=1024),
        norm=RMSNorm(eps=1e-5),
        tie=False,
    ),
}
BASELINE, OWN = "transformers, float32", "pytok, float32"
PROMPT = list(range(100, 116))
TOKENS = 256


ROUNDS, QUICK_ROUNDS = 5, 2


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for each contestant and shape."""
    return [record for name in SHAPES for record in _contest(name, settings.quick)]


def _contest(name: str, quick: bool) -> list[Record]:
    model, baseline = _models(SHAPES[name])
    calls: dict[str, Callable[[], list[int]]] = {
        BASELINE: lambda: _generate(baseline),
        OWN: lambda: _decode(model),
    }
    right = calls[OWN]() == calls[BASELINE]()
    in_bfloat16 = inference_copy(model, torch.bfloat16)
    calls["pytok, bfloat16 linears"] = lambda: _decode(in_bfloat16)
    in_int8 = inference_copy(model, torch.int8)
    calls["pytok, int8 linears"] = lambda: _decode(in_int8)
    timings = take_turns(
        list(calls.values()), QUICK_ROUNDS if quick else ROUNDS, 60.0, time.perf_counter
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    task = f"{name}, {parameters / 1e6:.1f} million parameters, {TOKENS} tokens per text"
    base = timings[0].median
    lines = [
        [
            contestant,
            f"{TOKENS / timing.median:.0f}",
            f"{TOKENS / max(timing.seconds):.0f} to {TOKENS / timing.best:.0f}",
            f"{base / timing.median:.1f}×",
        ]
        for contestant, timing in zip(calls, timings, strict=True)
    ]
    columns = ["contestant", "tokens/s", "range", "speedup"]
    report.show(f"Generate: {task}", columns, lines)
    state = {OWN: "timed" if right else "DIFFERS"}
    return [
        {
            "question": task,
            "name": contestant,
            "state": state.get(contestant, "timed"),
            "reason": "" if right else "transformers generates other tokens",
            "seconds": timing.seconds,
        }
        for contestant, timing in zip(calls, timings, strict=True)
    ]


def _models(shape: GPTConfig) -> tuple[GPT, Any]:
    """Return a model with random weights, and the same model in transformers."""
    model = GPT(shape)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=noise)
    tokenizer = pytok.train([""], vocab_size=257)
    with tempfile.TemporaryDirectory() as folder:
        write_imported(Path(folder, "run"), model, tokenizer)
        export_folder(read_checkpoint(Path(folder, "run")), Path(folder, "hf"))
        baseline = AutoModelForCausalLM.from_pretrained(Path(folder, "hf"), dtype=torch.float32)
    baseline.generation_config.eos_token_id = None
    return model.eval(), baseline.eval()


def _generate(model: Any) -> list[int]:
    generated = model.generate(
        torch.tensor([PROMPT]),
        attention_mask=torch.ones(1, len(PROMPT), dtype=torch.int64),
        max_new_tokens=TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    new: list[int] = generated[0, len(PROMPT) :].tolist()
    return new


def _decode(model: GPT) -> list[int]:
    decoder, generated = Decoder(model, [PROMPT]), list[int]()
    while True:
        generated += decoder.logits.argmax(-1).tolist()
        if len(generated) == TOKENS:
            return generated
        decoder.append(generated[-1:])


if __name__ == "__main__":
    command(run)()
