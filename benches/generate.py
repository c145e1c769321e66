"""``python -m benches.generate``: tokens a second after a prompt, greedily, one text at a time.

The contestants have the same weights, in shapes of 12 to 14 million parameters, and the threads
that torch takes. Ours in float32 must first write what transformers writes. Not measured here:
the prompt's reading, batches, CUDA.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from transformers import AutoModelForCausalLM

import pytok
from gpt import config
from gpt.checkpoint import read_checkpoint
from gpt.config import GPTConfig, GroupedQuery
from gpt.decoding import Decoder, with_linears_in
from gpt.formats.huggingface import export_folder
from gpt.formats.imported import write_imported
from gpt.model import GPT

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
        position=config.Learned(),
        mlp=config.Gelu(tanh=True),
        norm=config.LayerNorm(),
        bias=True,
        tie=True,
    ),
    "llama": GPTConfig(
        **SIZES,
        position=config.Rope(),
        mlp=config.SwiGLU(hidden=1024),
        norm=config.RMSNorm(eps=1e-5),
        tie=False,
    ),
}
PROMPT = list(range(100, 116))
TOKENS = 256


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Times that each writes, in turns.")
def main(rounds: int) -> None:
    """Print the median of the rounds and how far they lie apart."""
    for name, shape in SHAPES.items():
        model, theirs = _models(shape)
        calls: dict[str, Callable[[], list[int]]] = {
            "transformers, float32": lambda theirs=theirs: _generate(theirs),
            "gpt, float32": lambda model=model: _decode(model),
        }
        if calls["gpt, float32"]() != calls["transformers, float32"]():
            raise click.ClickException(f"{name}: the two write different tokens")
        light = with_linears_in(model, torch.bfloat16)
        calls["gpt, bfloat16 linears"] = lambda light=light: _decode(light)
        rates: dict[str, list[float]] = {who: [] for who in calls}
        for _ in range(rounds):
            for who, call in calls.items():
                began = time.perf_counter()
                call()
                rates[who].append(TOKENS / (time.perf_counter() - began))
        parameters = sum(parameter.numel() for parameter in model.parameters())
        print(f"\n{name}, {parameters / 1e6:.1f} million parameters, {TOKENS} tokens a text")
        base = statistics.median(rates["transformers, float32"])
        for who, found in rates.items():
            middle = statistics.median(found)
            print(
                f"  {who:24}{middle:7.0f} tokens/s ({min(found):.0f} to {max(found):.0f})"
                f"{middle / base:6.1f}x"
            )


def _models(shape: GPTConfig) -> tuple[GPT, Any]:
    """A model of random weights, and transformers' of the same."""
    model = GPT(shape)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=noise)
    tokenizer = pytok.train([""], vocab_size=257)
    with tempfile.TemporaryDirectory() as folder:
        write_imported(Path(folder, "run"), model, tokenizer)
        export_folder(read_checkpoint(Path(folder, "run")), Path(folder, "hf"))
        theirs = AutoModelForCausalLM.from_pretrained(Path(folder, "hf"), dtype=torch.float32)
    theirs.generation_config.eos_token_id = None
    return model.eval(), theirs.eval()


def _generate(theirs: Any) -> list[int]:
    written = theirs.generate(
        torch.tensor([PROMPT]),
        attention_mask=torch.ones(1, len(PROMPT), dtype=torch.int64),
        max_new_tokens=TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    new: list[int] = written[0, len(PROMPT) :].tolist()
    return new


def _decode(model: GPT) -> list[int]:
    decoder, written = Decoder(model, [PROMPT]), list[int]()
    while True:
        written += decoder.logits.argmax(-1).tolist()
        if len(written) == TOKENS:
            return written
        decoder.append(written[-1:])


if __name__ == "__main__":
    main()
