"""`gpt export` and `gpt import`: from and to the formats of other software."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained model for other software: a Hugging Face folder, or a GGUF file."""

    run: tyro.conf.Positional[Path]
    """A run's folder, for its newest checkpoint; RUN/best; or one checkpoint's folder."""
    out: tyro.conf.Positional[Path]
    """The folder or file to write."""
    to: Literal["hf", "gguf"]
    """hf: what transformers loads; gguf: what llama.cpp does."""

    def __call__(self) -> int:
        """Write it; 0."""
        from gpt.runs.reading import read_checkpoint

        checkpoint = read_checkpoint(self.run)
        if self.to == "hf":
            from gpt.interop.huggingface import export_folder

            family = export_folder(checkpoint, self.out)
        else:
            from gpt.interop.gguf import export_file

            family = export_file(checkpoint, self.out)
        print(f"wrote {self.out}, a {family.name} model", file=sys.stderr)
        return 0


@dataclass(frozen=True, kw_only=True)
class Import:
    """Make a run of others' gpt2, llama or qwen3: a Hugging Face folder, or a GGUF file.

    To sample from and to measure; `gpt eval` needs --data for it.
    """

    source: tyro.conf.Positional[Path]
    """A folder with config.json, safetensors and the tokenizer; or a file for llama.cpp."""
    out: Path
    """Folder of the run."""

    def __call__(self) -> int:
        """Write the run; 0."""
        from gpt.interop.imported import write_imported

        if self.source.is_file():
            from gpt.interop.gguf import import_file

            model, tokenizer = import_file(self.source)
        else:
            from gpt.interop.huggingface import import_folder

            model, tokenizer = import_folder(self.source)
        write_imported(self.out, model, tokenizer)
        out = shlex.quote(str(self.out))
        print(f"wrote {self.out}; next: gpt sample {out}", file=sys.stderr)
        return 0
