"""Who learns to predict text, each in a process of its own: `process.ask` names one of `LEARNERS`.

nanoGPT and Hugging Face's GPT-2 learn characters, at the setting of nanoGPT's README for a CPU: 4
layers, 4 heads, 128 wide, 64 characters, 12 rows, float32, not compiled. Only nanoGPT's seed is
written into its train.py; its code is otherwise run as it is. The whole of the validation text is
predicted, all but its first character.
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


def nanogpt(order: dict[str, Any]) -> dict[str, Any]:
    """Run the train.py of the checkout *order*["nanogpt"], and measure its checkpoint."""
    steps = order["steps"]
    texts = _texts(order)
    ids, vocabulary = _characters(texts)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "nanoGPT")
        checkout.mkdir()
        for name in ("train.py", "model.py", "configurator.py", "config"):
            place = Path(order["nanogpt"], name)
            (shutil.copytree if place.is_dir() else shutil.copy)(place, checkout / name)
        script = checkout / "train.py"
        script.write_text(script.read_text().replace("1337", str(order["seed"])))
        data = checkout / "data" / "shakespeare_char"
        data.mkdir(parents=True)
        for name, each in zip(("train", "val"), ids, strict=True):
            each.astype(np.uint16).tofile(data / f"{name}.bin")
        (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": vocabulary}))
        ends = f"--max_iters={steps} --lr_decay_iters={steps} --eval_interval={steps}"
        done = subprocess.run(
            [sys.executable, "train.py", *SETTING.split(), *ends.split(), "--out_dir=out"],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["nanoGPT failed"])[-1])
        import resource  # not on every system

        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        times = [float(ms) / 1000 for ms in re.findall(r"time ([\d.]+)ms", done.stdout)]
        # The first and the last contain an evaluation.
        middle = statistics.median(times)
        seconds = sum(min(each, 2 * middle) for each in (times[0], times[-1])) + sum(times[1:-1])
        sys.path.insert(0, str(checkout))
        import torch
        from model import GPT, GPTConfig  # type: ignore[import-not-found]

        saved = torch.load(checkout / "out" / "ckpt.pt", weights_only=True)
        with contextlib.redirect_stdout(io.StringIO()):
            model = GPT(GPTConfig(**saved["model_args"]))
        model.load_state_dict(saved["model"])
        nats = _measured(lambda x, y: model(x, y)[1], model, ids[1])
    return _figures(seconds, nats, texts[1], steps * CONTEXT * ROWS, peak)


def transformers_gpt2(order: dict[str, Any]) -> dict[str, Any]:
    """GPT2LMHeadModel in the plainest loop: AdamW, clipping, warm-up and cosine."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    steps, texts = order["steps"], _texts(order)
    ids, vocabulary = _characters(texts)
    torch.manual_seed(order["seed"])
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

    began = time.perf_counter()
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
    seconds = time.perf_counter() - began
    peak = process.peak_memory()
    return _figures(seconds, _measured(loss, model, ids[1]), texts[1], steps * CONTEXT * ROWS, peak)


def pytok(order: dict[str, Any]) -> dict[str, Any]:
    """Climb the rungs of `time_to_loss` to *order*["target"]; the run that reached it counts."""
    from benches.time_to_loss import RUNGS, climb, prepare

    out = Path(order["out"])
    texts = _texts(order)
    for vocab in {rung.vocab for rung in RUNGS if rung.seconds <= order["seconds"]}:
        if not (out / f"data-{vocab}").exists():
            prepare(Path(order["train"]), Path(order["val"]), vocab, out / f"data-{vocab}")
    rungs = [rung for rung in RUNGS if rung.seconds <= order["seconds"]]
    row = climb(out, rungs, order["target"], order["seed"])[-1]
    assert row.val_bpb is not None
    nats = row.val_bpb * math.log(2) * len(texts[1].encode())
    return _figures(row.seconds, nats, texts[1], row.tokens, process.peak_memory())


LEARNERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "nanoGPT": nanogpt,
    "transformers, GPT-2": transformers_gpt2,
    "pytok": pytok,
}


def _figures(seconds: float, nats: float, val: str, tokens: int, peak: int) -> dict[str, Any]:
    """What a learner answers; *nats* are of the whole validation text."""
    return {
        "seconds": seconds,
        "bits_per_byte": nats / math.log(2) / len(val.encode()),
        "tokens": tokens,
        "peak_bytes": peak,
    }


def _texts(order: dict[str, Any]) -> tuple[str, str]:
    train, val = (Path(order[name]).read_text(encoding="utf-8") for name in ("train", "val"))
    return train, val


def _characters(texts: tuple[str, str]) -> tuple[tuple[NDArray[Any], NDArray[Any]], int]:
    """Each text as numbers of characters, and how many characters there are in both together."""
    alphabet = {character: number for number, character in enumerate(sorted(set("".join(texts))))}
    train, val = (np.array([alphabet[each] for each in text]) for text in texts)
    return (train, val), len(alphabet)


def _measured(loss: Callable[[Any, Any], Any], model: Any, ids: NDArray[Any]) -> float:
    """Nats of all of *ids* but the first, in windows that do not overlap."""
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
    whole = last - last % CONTEXT
    inputs, targets = data[:whole].view(-1, CONTEXT), data[1 : whole + 1].view(-1, CONTEXT)
    yield from zip(inputs.split(rows), targets.split(rows), strict=True)
    if whole < last:
        yield data[whole:last][None], data[whole + 1 :][None]


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    process.answer(lambda order: LEARNERS[order["name"]](order))
