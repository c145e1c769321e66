"""`gpt export`, `gpt import`, `gpt prune` and `gpt convert`: other formats, and other shapes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from gpt.commands.following import next_command
from gpt.commands.options import OUTPUT, PATH, refuse_same, run_argument
from gpt.errors import ConfigError
from gpt.spec.attention_base import POOLS, Pool
from pytok.commands.help import Command, option
from pytok.terminal import say


@click.command(
    "export",
    cls=Command,
    examples="""
    gpt export runs/llama model/ --to hf
    gpt export runs/llama model/ --to hf --dtype bfloat16 --max-shard-size 5GB
    gpt export runs/llama model.gguf --to gguf
    gpt export runs/tuned adapter/ --to peft
    """,
)
@run_argument
@click.argument("out", type=OUTPUT)
@option(
    "--to",
    type=click.Choice(["hf", "gguf", "peft"]),
    required=True,
    help="hf: a folder for transformers; gguf: a file for llama.cpp; peft: the run's LoRA or DoRA.",
)
@option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    help="Precision of the weights (hf only).",
)
@option(
    "--max-shard-size",
    metavar="SIZE",
    help="Split the weights into files of at most this size, such as 5GB (hf only).",
)
def export(run: Path, out: Path, to: str, dtype: str, max_shard_size: str | None) -> int:
    """Write a trained model for transformers, llama.cpp or peft.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. OUT is the folder or file to write. A model is written as a family that has all of
    its mechanisms, such as GPT-2, Llama or Gemma; docs/families.md lists them. An adapter is for
    the base of the run, as --to hf writes it.
    """
    from gpt.runs.reading import read_checkpoint

    if to != "hf" and (dtype != "float32" or max_shard_size is not None):
        raise ConfigError("--dtype and --max-shard-size are for --to hf: other files are float32")
    checkpoint = read_checkpoint(run)
    if to == "hf":
        from gpt.interop.huggingface import export_folder
        from gpt.interop.weight_files import bytes_of

        limit = None if max_shard_size is None else bytes_of(max_shard_size)
        family = export_folder(checkpoint, out, dtype=dtype, limit=limit)
    elif to == "peft":
        from gpt.interop.peft import export_adapter

        family = export_adapter(checkpoint, out)
        say(f"wrote {out}, an adapter of a {family.name} model")
        base = getattr(checkpoint.state.recipe.task, "base", None)
        say(f"next: {shlex.join(['gpt', 'sample', str(base), '--adapter', str(out)])}")
        return 0
    else:
        from gpt.interop.gguf import export_file

        family = export_file(checkpoint, out)
    say(f"wrote {out}, a {family.name} model")
    if to == "gguf":
        say(f"next: {shlex.join(['llama-cli', '-m', str(out), '-p', 'The'])}")
    elif checkpoint.state.config.causal:
        task = "classification" if checkpoint.state.config.classifies else "generation"
        call = f'transformers.pipeline("text-{task}", {json.dumps(str(out))})("The")'
        say(f"next: {shlex.join(['python', '-c', f'import transformers; print({call})'])}")
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
    """Import a model of other software as a run.

    SOURCE is a Hugging Face folder with config.json, safetensors and the tokenizer, or a GGUF file
    of llama.cpp, of a family in docs/families.md. The run can be sampled, tuned and exported;
    `gpt eval` needs --data for it.
    """
    from gpt.interop.imported import write_imported

    refuse_same(out, source)
    if source.is_file():
        from gpt.interop.gguf import import_file

        imported = import_file(source)
    else:
        from gpt.interop.huggingface import import_folder

        imported = import_folder(source)
    write_imported(out, imported.model, imported.tokenizer, generation=imported.generation)
    say(f"wrote {out}")
    say(f"next: {next_command(out)}")
    return 0


@click.command(
    cls=Command,
    examples="""
    pytok prune runs/big/checkpoints/*/tokenizer.json my.txt --vocab 8192 -o small.json
    gpt prune runs/big --tokenizer small.json --out runs/small
    """,
)
@run_argument
@option(
    "--tokenizer",
    metavar="FILE",
    type=PATH,
    required=True,
    help="The smaller tokenizer, made by `pytok prune` from that of the run.",
)
@option("--out", metavar="FOLDER", type=PATH, required=True, help="Run folder to write.")
def prune(run: Path, tokenizer: Path, out: Path) -> int:
    """Shrink the vocabulary of a model.

    RUN is a run folder, trained or imported. The new run has the rows of the tokens that the
    tokenizer has kept, and all other weights. Its probabilities are those of the model before,
    divided among fewer tokens. It can be sampled, tuned and exported; `gpt eval` needs --data for
    it.
    """
    from gpt.interop.pruned import write_pruned
    from gpt.runs.reading import read_checkpoint
    from pytok.encodings import open_tokenizer

    checkpoint = read_checkpoint(run)
    smaller = open_tokenizer(str(tokenizer))
    write_pruned(out, checkpoint, smaller)
    before = checkpoint.state.config.vocab_size
    say(f"wrote {out}, with {smaller.n_vocab:,} of {before:,} ids")
    say(f"next: {next_command(out)}")
    return 0


@click.command(
    cls=Command,
    examples="""
    gpt train --data pairs.jsonl --preset transformer --out runs/translator
    gpt average runs/translator --out runs/averaged
    """,
)
@run_argument
@option("--out", metavar="FOLDER", type=PATH, required=True, help="Run folder to write.")
@option(
    "--last",
    metavar="N",
    type=int,
    default=5,
    help="Number of checkpoints to average, counted from the last.",
)
def average(run: Path, out: Path, last: int) -> int:
    """Average the weights of the last checkpoints of a run.

    RUN is a run folder, which has kept two checkpoints or more: `gpt train --keep 5` keeps five.
    The average often predicts better than each of them (Vaswani 2017). It can be sampled and
    measured; its training cannot be resumed.
    """
    from gpt.runs.averaging import write_average

    refuse_same(out, run)
    steps = write_average(run, out, last)
    say(f"wrote {out}, the average of steps {', '.join(map(str, steps))}")
    say(f"next: {next_command(out)}")
    return 0


@click.command(
    cls=Command,
    examples="""
    gpt convert runs/big --kv-heads 2 --out runs/grouped
    gpt tune runs/grouped --data corpus.txt --out runs/uptrained --full
    """,
)
@run_argument
@option("--kv-heads", metavar="N", type=int, required=True, help="Key and value heads to keep.")
@option(
    "--pool",
    type=click.Choice(POOLS),
    default="mean",
    help="A shared head is the mean of those that it replaces, the first of them, or new weights.",
)
@option("--seed", metavar="N", type=int, default=0, help="Seed of new weights.")
@option("--out", metavar="FOLDER", type=PATH, required=True, help="Run folder to write.")
def convert(run: Path, kv_heads: int, pool: Pool, seed: int, out: Path) -> int:
    """Turn multi-head attention into grouped-query attention.

    RUN is a run folder, trained or imported. The new model (GQA, Ainslie 2023, arXiv:2305.13245)
    keeps fewer keys and values per token, and decodes long texts faster; it is a little worse until
    it is trained again, for some 5% of its steps. It can be sampled, evaluated, tuned and exported.
    """
    from gpt.interop.shared import write_shared
    from gpt.runs.reading import read_checkpoint

    refuse_same(out, run)
    checkpoint = read_checkpoint(run)
    try:
        write_shared(out, checkpoint, kv_heads, pool, seed)
    except ConfigError as error:
        raise ConfigError(f"--kv-heads {kv_heads}: {error}") from None
    say(f"wrote {out}, with {kv_heads} key and value heads")
    data = checkpoint.state.recipe.data
    if not (data / "shards.json").exists():
        say(f"next: {next_command(out)}")
        return 0
    tuned = ["--out", f"{out}-tuned", "--full"]
    say(f"next: {shlex.join(['gpt', 'tune', str(out), '--data', str(data), *tuned])}")
    return 0
