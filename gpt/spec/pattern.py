"""Specs of the patterns of attention: which tokens a token attends to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, at_least_zero
from gpt.spec.part import Part


class Pattern(Part):
    """Which tokens a token attends to."""

    def check_heads(self, heads: int) -> None:
        """Raise ConfigError if it does not fit *heads* heads."""


@dataclass(frozen=True, kw_only=True)
class Causal(Pattern):
    """Each token attends to itself and to all tokens before it."""

    causal: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Window(Pattern):
    """Each token attends to the latest tokens only (Beltagy 2020, Longformer, arXiv:2004.05150)."""

    size: int
    """Number of tokens, as `counts` says."""
    counts: Literal["all", "others"] = "all"
    """Whether size counts the token itself (as in Mistral and GPT-Neo) or only the others (as in
    Longformer, and as the max_attend_past of x-transformers)."""
    causal: bool = True
    """Whether the others are earlier tokens; if not, half of them are later ones."""
    deeper_sizes: tuple[int, ...] = ()
    """Sizes in deeper layers. Layers are divided evenly, in order, among size and these: Longformer
    has 32, then 64, 128, 256, 512."""
    long_every: int | None = None
    """Every n-th layer, and the last, attends to the full context (as in Gemma 2,
    arXiv:2408.00118). [default: no layer]"""
    dilations: tuple[int, ...] = (1,)
    """Distances between the tokens of a window. Heads are divided evenly, in order, among them."""
    first: int = 0
    """Number of first tokens that are global: all tokens attend to them, and they to all, unless
    those are later (Xiao 2023, StreamingLLM, arXiv:2309.17453, keeps 4)."""
    global_positions: tuple[int, ...] = ()
    """Positions of further global tokens."""

    def __post_init__(self) -> None:
        above_zero(size=self.size, long_every=self.long_every)
        at_least_zero(first=self.first)
        for name, values in (("deeper_sizes", self.deeper_sizes), ("dilations", self.dilations)):
            for value in values:
                above_zero(**{name: value})
        for position in self.global_positions:
            at_least_zero(global_positions=position)
        if not self.dilations:
            raise ConfigError("dilations must have at least one distance; 1 is no dilation")
        for size in () if self.causal else (self.size, *self.deeper_sizes):
            others = size - (self.counts == "all")
            if others % 2:
                fix = "an odd size, or counts=others" if self.counts == "all" else "an even size"
                raise ConfigError(
                    f"a window of size {size} has {others} tokens besides the token itself, which "
                    f"cannot be divided between both sides; set {fix}"
                )

    def check_heads(self, heads: int) -> None:
        """Raise ConfigError if there are more dilations than *heads*."""
        if len(self.dilations) > heads:
            raise ConfigError(f"{len(self.dilations)} dilations are too many for {heads} heads")

    @property
    def global_tokens(self) -> tuple[int, ...]:
        """The positions of all global tokens, ascending."""
        return tuple(sorted({*range(self.first), *self.global_positions}))

    def on_both_sides(self) -> Window:
        """Return the same with as many later tokens as a causal window has earlier ones."""
        size, *deeper = (2 * n - (self.counts == "all") for n in (self.size, *self.deeper_sizes))
        return replace(self, size=size, deeper_sizes=tuple(deeper), causal=False)

    def in_layer(self, layer: int, layers: int) -> int | None:
        """Return the tokens of the window of *layer* (from 0) of *layers*, the token itself too.

        None for the full context.
        """
        every = self.long_every
        if every is not None and ((layer + 1) % every == 0 or layer + 1 == layers):
            return None
        sizes = (self.size, *self.deeper_sizes)
        return sizes[layer * len(sizes) // layers] + (self.counts == "others")


@dataclass(frozen=True, kw_only=True)
class BigBird(Pattern):
    """Each block of tokens attends to its neighbors, global blocks and random ones (Zaheer 2020).

    BigBird, arXiv:2007.14062. All tokens of global blocks attend to all, and all to them. Random
    blocks differ by layer, and are the same for all rows and heads.
    """

    causal: bool = True
    """Whether no token attends to a later one."""
    block: int = 64
    """Number of tokens of a block."""
    window: int = 3
    """Number of neighbors, the block itself included: the latest, or as many on both sides."""
    global_blocks: int = 2
    """Number of global blocks, the first ones."""
    both_ends: bool = False
    """Whether half of the global blocks are the last of the context, as in the authors' code."""
    random_blocks: int = 3
    """Number of random blocks besides; fewer if there are no more. If causal, only earlier ones."""
    seed: int = 0
    """Seed of the random blocks."""

    def __post_init__(self) -> None:
        above_zero(block=self.block, window=self.window)
        at_least_zero(
            global_blocks=self.global_blocks, random_blocks=self.random_blocks, seed=self.seed
        )
        if not self.causal and self.window % 2 == 0:
            raise ConfigError(
                f"window {self.window} has no middle for neighbors on both sides; set an odd number"
            )
        if self.both_ends and (self.causal or self.global_blocks % 2):
            raise ConfigError("both_ends needs causal=false and an even number of global_blocks")


@dataclass(frozen=True, kw_only=True)
class Full(Pattern):
    """Each token attends to all tokens, later ones included (Devlin 2018, BERT, arXiv:1810.04805).

    Such a model cannot predict the next token, which it sees.
    """

    causal: ClassVar[bool] = False
