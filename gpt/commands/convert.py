"""`gpt export` and `gpt import`: to and from the formats of other software."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from gpt.commands.options import PATH, run_argument
from pytok.commands.help import Command, option
from pytok.terminal import say


@click.command(
    "export",
    cls=Command,
    examples="""
    gpt export runs/llama model/ --to hf
    gpt export runs/llama model.gguf --to gguf
    """,
)
@run_argument
@click.argument("out", type=PATH)
@option(
    "--to",
    type=click.Choice(["hf", "gguf"]),
    required=True,
    help="hf: a folder for transformers; gguf: a file for llama.cpp.",
)
def export(run: Path, out: Path, to: str) -> int:
    """Write a trained model for transformers or llama.cpp.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. OUT is the folder or file to write. Models of the presets gpt2, llama and qwen3 can
    be exported.
    """
    from gpt.runs.reading import read_checkpoint

    checkpoint = read_checkpoint(run)
    if to == "hf":
        from gpt.interop.huggingface import export_folder

        family = export_folder(checkpoint, out)
    else:
        from gpt.interop.gguf import export_file

        family = export_file(checkpoint, out)
    say(f"wrote {out}, a {family.name} model")
    return 0


@click.command(
    "import",
    cls=Command,
    examples="""
    gpt import gpt2/ --out runs/gpt2
    gpt import model.gguf --out runs/llama
    """,
)
@click.argument("source", type=PATH)
@option("--out", metavar="FOLDER", type=PATH, required=True, help="Run folder to write.")
def import_(source: Path, out: Path) -> int:
    """Import a GPT-2, Llama or Qwen3 model as a run.

    SOURCE is a Hugging Face folder with config.json, safetensors and the tokenizer, or a GGUF file
    of llama.cpp. The run can be sampled, tuned and exported; `gpt eval` needs --data for it.
    """
    from gpt.interop.imported import write_imported

    if source.is_file():
        from gpt.interop.gguf import import_file

        model, tokenizer = import_file(source)
    else:
        from gpt.interop.huggingface import import_folder

        model, tokenizer = import_folder(source)
    write_imported(out, model, tokenizer)
    say(f"wrote {out}; next: gpt sample {shlex.quote(str(out))}")
    return 0
