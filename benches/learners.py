"""Software that trains language models; `process.call` runs one of `LEARNERS` in a fresh process.

nanoGPT and Hugging Face's GPT-2 model characters, with the settings in nanoGPT's README for CPUs: 4
layers, 4 heads, width 128, 64 characters, 12 rows, float32, not compiled. nanoGPT's train.py is run
unchanged, except for the seed in it. All characters of the validation text except the first are
predicted.
"""

import contextlib
import io
import math
import os
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches import process

CONTEXT, ROWS, WARMUP, PEAK, FLOOR = 64, 12, 100, 1e-3, 1e-4

SETTING = (
    "config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=1 --log_interval=1 "
    f"--block_size={CONTEXT} --batch_size={ROWS} --n_layer=4 --n_head=4 --n_embd=128 --dropout=0.0"
)


def nanogpt(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run the train.py of the checkout *arguments*["nanogpt"], and measure its checkpoint."""
    steps = arguments["steps"]
    texts = _texts(arguments)
    ids, vocabulary = _characters(texts)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "nanoGPT")
        checkout.mkdir()
        for name in ("train.py", "model.py", "configurator.py", "config"):
            source = Path(arguments["nanogpt"], name)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, checkout / name)
        script = checkout / "train.py"
        script.write_text(script.read_text().replace("1337", str(arguments["seed"])))
        data = checkout / "data" / "shakespeare_char"
        data.mkdir(parents=True)
        for name, each in zip(("train", "val"), ids, strict=True):
            each.astype(np.uint16).tofile(data / f"{name}.bin")
        (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": vocabulary}))
        length = f"--max_iters={steps} --lr_decay_iters={steps} --eval_interval={steps}"
        done = subprocess.run(
            [sys.executable, "train.py", *SETTING.split(), *length.split(), "--out_dir=out"],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["nanoGPT failed"])[-1])
        import resource  # exists on POSIX systems only

        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        times = [float(ms) / 1000 for ms in re.findall(r"time ([\d.]+)ms", done.stdout)]
        # The first and the last step include an evaluation.
        limit = 2 * statistics.median(times)
        seconds = sum(min(each, limit) for each in (times[0], times[-1])) + sum(times[1:-1])
        sys.path.insert(0, str(checkout))
        import torch
        from model import GPT, GPTConfig  # type: ignore[import-not-found]

        saved = torch.load(checkout / "out" / "ckpt.pt", weights_only=True)
        with contextlib.redirect_stdout(io.StringIO()):
            model = GPT(GPTConfig(**saved["model_args"]))
        model.load_state_dict(saved["model"])
        nats = _total_loss(lambda x, y: model(x, y)[1], model, ids[1])
    return _figures(seconds, nats, texts[1], steps * CONTEXT * ROWS, peak)


def transformers_gpt2(arguments: dict[str, Any]) -> dict[str, Any]:
    """Train GPT2LMHeadModel in a plain loop: AdamW, gradient clipping, warm-up and cosine decay."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    steps, texts = arguments["steps"], _texts(arguments)
    ids, vocabulary = _characters(texts)
    torch.manual_seed(arguments["seed"])
    sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "n_positions": CONTEXT}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "use_cache": False}
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=vocabulary, bos_token_id=0, eos_token_id=0, **sizes, **off)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, betas=(0.9, 0.99), weight_decay=0.1)
    data = torch.from_numpy(ids[0].astype(np.int64))

    def loss(inputs: Any, targets: Any) -> Any:
        logits = model(inputs).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    start = time.perf_counter()
    for step in range(steps):
        cosine = (1 + math.cos(math.pi * max(0, step - WARMUP) / max(1, steps - WARMUP))) / 2
        rate = PEAK * (step + 1) / WARMUP if step < WARMUP else FLOOR + cosine * (PEAK - FLOOR)
        for group in optimizer.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(data) - CONTEXT, (ROWS, 1)) + torch.arange(CONTEXT)
        loss(data[starts], data[starts + 1]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - start
    peak = process.peak_memory()
    nats = _total_loss(loss, model, ids[1])
    return _figures(seconds, nats, texts[1], steps * CONTEXT * ROWS, peak)


def pytok(arguments: dict[str, Any]) -> dict[str, Any]:
    """Train the rungs of `time_to_loss` until one reaches *arguments*["target"]."""
    from benches.time_to_loss import RUNGS, climb, prepare

    out = Path(arguments["out"])
    texts = _texts(arguments)
    train, val = Path(arguments["train"]), Path(arguments["val"])
    rungs = [rung for rung in RUNGS if rung.seconds <= arguments["seconds"]]
    for vocab in {rung.vocab for rung in rungs}:
        if not (out / f"data-{vocab}").exists():
            prepare(train, val, vocab, out / f"data-{vocab}")
    row = climb(out, rungs, arguments["target"], arguments["seed"])[-1]
    assert row.val is not None
    nats = row.val["bits_per_byte"] * math.log(2) * len(texts[1].encode())
    return _figures(row.seconds, nats, texts[1], row.tokens, process.peak_memory())


LEARNERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "nanoGPT": nanogpt,
    "transformers, GPT-2": transformers_gpt2,
    "pytok": pytok,
}


def _figures(seconds: float, nats: float, val: str, tokens: int, peak: int) -> dict[str, Any]:
    """Return the result of a learner; *nats* is the total loss of the validation text."""
    return {
        "seconds": seconds,
        "bits_per_byte": nats / math.log(2) / len(val.encode()),
        "tokens": tokens,
        "peak_bytes": peak,
    }


def _texts(arguments: dict[str, Any]) -> tuple[str, str]:
    train, val = (Path(arguments[name]).read_text(encoding="utf-8") for name in ("train", "val"))
    return train, val


def _characters(texts: tuple[str, str]) -> tuple[tuple[NDArray[Any], NDArray[Any]], int]:
    """Return the ids of the characters of each text, and the number of distinct characters."""
    alphabet = {character: number for number, character in enumerate(sorted(set("".join(texts))))}
    train, val = (np.array([alphabet[each] for each in text]) for text in texts)
    return (train, val), len(alphabet)


def _total_loss(loss: Callable[[Any, Any], Any], model: Any, ids: NDArray[Any]) -> float:
    """Return the loss of all *ids* except the first in nats, in windows that do not overlap."""
    import torch

    model.eval()
    with torch.inference_mode():
        return sum(
            loss(inputs, targets).item() * targets.numel() for inputs, targets in _windows(ids)
        )


def _windows(ids: NDArray[Any], rows: int = 64) -> Iterator[tuple[Any, Any]]:
    import torch

    data = torch.from_numpy(ids.astype(np.int64))
    last = len(data) - 1
    end = last - last % CONTEXT
    inputs, targets = data[:end].view(-1, CONTEXT), data[1 : end + 1].view(-1, CONTEXT)
    yield from zip(inputs.split(rows), targets.split(rows), strict=True)
    if end < last:
        yield data[end:last][None], data[end + 1 :][None]


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    process.serve(lambda arguments: LEARNERS[arguments["name"]](arguments))
