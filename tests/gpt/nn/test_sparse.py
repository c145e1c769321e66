"""Sparse patterns: which pairs they allow, and the blocks in which they are computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.masking_utils import sliding_window_overlay
from transformers.models.big_bird.modeling_big_bird import (
    BigBirdBlockSparseAttention,
    BigBirdConfig,
    BigBirdModel,
)

from gpt.errors import ConfigError
from gpt.nn.attention import layouts
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import BigBird, Causal, Window
from gpt.spec.position import T5, ALiBi, Music, Rope, Shaw
from gpt.spec.scoring import Additive, LocalP, ScaledDot, Softmax
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

HEADS = 4
Rule = Callable[[int, int, int], bool]
CASES: dict[str, tuple[Any, Rule]] = {
    "window": (Window(size=3), lambda h, t, s: 0 <= t - s < 3),
    "one token": (Window(size=1), lambda h, t, s: t == s),
    "others": (Window(size=3, counts="others"), lambda h, t, s: 0 <= t - s <= 3),
    "both sides": (Window(size=5, causal=False), lambda h, t, s: abs(t - s) <= 2),
    "both sides, others": (
        Window(size=4, counts="others", causal=False),
        lambda h, t, s: abs(t - s) <= 2,
    ),
    "dilated": (
        Window(size=3, dilations=(1, 2)),
        lambda h, t, s: t - s in ((0, 1, 2) if h < 2 else (0, 2, 4)),
    ),
    "dilated on both sides": (
        Window(size=3, dilations=(2, 3, 1, 1), causal=False),
        lambda h, t, s: abs(t - s) in (0, (2, 3, 1, 1)[h]),
    ),
    "first": (Window(size=2, first=3), lambda h, t, s: 0 <= t - s < 2 or (s < 3 and s <= t)),
    "global": (
        Window(size=2, global_positions=(4, 11)),
        lambda h, t, s: 0 <= t - s < 2 or (s <= t and bool({s, t} & {4, 11})),
    ),
    "global on both sides": (
        Window(size=3, first=1, global_positions=(7,), causal=False),
        lambda h, t, s: abs(t - s) <= 1 or bool({s, t} & {0, 7}),
    ),
    "global and dilated": (
        Window(size=2, first=2, dilations=(3,)),
        lambda h, t, s: t - s in (0, 3) or (s < 2 and s <= t),
    ),
    "BigBird": (
        BigBird(block=3, window=2, global_blocks=1, random_blocks=0),
        lambda h, t, s: s <= t and (t // 3 - s // 3 < 2 or s < 3),
    ),
    "BigBird on both sides": (
        BigBird(block=3, causal=False, both_ends=True, random_blocks=0),
        lambda h, t, s: abs(t // 3 - s // 3) < 2 or bool({t // 3, s // 3} & {0, 13}),
    ),
}
RANDOM = [
    BigBird(block=2, window=2, global_blocks=1, random_blocks=2),
    BigBird(block=3, causal=False, global_blocks=1, random_blocks=1, seed=3),
]
PATTERNS = [*(spec for spec, _ in CASES.values()), *RANDOM]
CONTEXT = 40


@contextmanager
def blocks_of(smallest: int = 2, largest: int = 4, saving: float = 0) -> Iterator[None]:
    """Small blocks, for any row that has *saving* times the keys of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "MIN_BLOCK", smallest)
        patch.setattr(layouts, "MAX_BLOCK", largest)
        patch.setattr(layouts, "MIN_SAVING", saving)
        yield


def config_of(pattern: Any, **changes: Any) -> Any:
    """A model with *pattern* in all layers."""
    attention = GroupedQuery(
        heads=HEADS, kv_heads=2, pattern=pattern, **changes.pop("attention", {})
    )
    return dataclasses.replace(SMALL, context=CONTEXT, attention=attention, **changes)


def attention_of(pattern: Any, **changes: Any) -> Any:
    """Attention with *pattern*, in float64, with random weights."""
    config = config_of(pattern, position=None, **changes)
    return perturbed(config).blocks[0].attention.double()


def pattern_of(spec: Any, layer: int = 0) -> Any:
    return mechanism(spec, config_of(spec), layer)


def allowed(spec: Any, tokens: int) -> Tensor:
    """The pairs that *spec* allows in a row of *tokens*, bool (HEADS, T, T)."""
    index = torch.arange(tokens)
    found: Tensor = pattern_of(spec).allowed(index[None, None, :, None], index[None, None, None])
    return found.expand(1, HEADS, tokens, tokens)[0]


def table(rule: Rule, tokens: int) -> Tensor:
    """The same by *rule*, pair by pair."""
    index = range(tokens)
    return torch.tensor([[[rule(h, t, s) for s in index] for t in index] for h in range(HEADS)])


def block_graph(spec: BigBird, layer: int, blocks: int) -> Tensor:
    """Which of *blocks* blocks each attends to, bool (blocks, blocks)."""
    config = dataclasses.replace(config_of(spec), context=blocks * spec.block)
    index = torch.arange(blocks)[None, None, None] * spec.block
    found: Tensor = mechanism(spec, config, layer).allowed(index.mT, index)
    return found[0, 0]


@pytest.mark.parametrize(("spec", "rule"), CASES.values(), ids=CASES)
def test_pattern_allows_the_pairs_of_its_definition(spec: Any, rule: Rule) -> None:
    """Pair by pair, and head by head."""
    assert torch.equal(allowed(spec, CONTEXT), table(rule, CONTEXT))


@pytest.mark.parametrize(("spec", "rule"), CASES.values(), ids=CASES)
def test_blocks_equal_torchs_attention_with_a_mask(spec: Any, rule: Rule) -> None:
    """F.scaled_dot_product_attention is the oracle, for outputs and gradients."""
    attention, x = attention_of(spec), torch.randn(2, 37, 32, dtype=torch.float64)
    x.requires_grad_()
    with blocks_of():
        assert attention.pairwise.pattern.layouts(37, documents=False)
        ours = attention(x, context_of(x))[0]
    q, k, v = (
        part(x).view(2, 37, -1, 8).transpose(1, 2)
        for part in (attention.query, attention.key, attention.value)
    )
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=table(rule, 37), enable_gqa=True)
    theirs = attention.output(mixed.transpose(1, 2).flatten(2))
    inputs, grad = [x, *attention.parameters()], torch.randn_like(ours)

    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, inputs, grad), torch.autograd.grad(theirs, inputs, grad)
    )


windows = st.builds(
    Window,
    size=st.integers(1, 12),
    counts=st.just("others"),
    dilations=st.lists(st.integers(1, 4), min_size=1, max_size=HEADS).map(tuple),
    first=st.integers(0, 5),
    global_positions=st.lists(st.integers(0, CONTEXT), max_size=3).map(tuple),
)
two_sided = st.builds(
    Window,
    size=st.integers(1, 6).map(lambda half: 2 * half),
    counts=st.just("others"),
    causal=st.just(False),
    dilations=st.lists(st.integers(1, 4), min_size=1, max_size=HEADS).map(tuple),
    first=st.integers(0, 3),
)
graphs = st.builds(
    BigBird,
    causal=st.booleans(),
    block=st.integers(1, 7),
    window=st.sampled_from([1, 3]),
    global_blocks=st.integers(0, 3),
    random_blocks=st.integers(0, 3),
    seed=st.integers(0, 9),
)
patterns = windows | two_sided | graphs


@settings(max_examples=100)
@given(spec=patterns, tokens=st.integers(2, CONTEXT), smallest=st.sampled_from([1, 2, 8]))
def test_layouts_have_each_allowed_pair_once(spec: Any, tokens: int, smallest: int) -> None:
    """And no pair twice, whatever the sizes of blocks."""
    pattern, pairs = pattern_of(spec), allowed(spec, tokens)
    with blocks_of(smallest, max(4, smallest)):
        found = pattern.layouts(tokens, documents=False)
    times = torch.zeros(HEADS, tokens, tokens, dtype=torch.int64)
    for layout in found:
        for queries, keys in zip(layout.query_index, layout.key_index, strict=True):
            heads = list(layout.heads or range(HEADS))
            for query in queries[queries >= 0].tolist():
                for head in heads:
                    times[head, query] += keys[keys >= 0].bincount(minlength=tokens)
    rows = [token for token in range(tokens) if token not in pattern.global_rows(tokens)]

    assert times.max() == 1
    assert (times[:, rows] >= pairs[:, rows].long()).all()


@settings(max_examples=25)
@given(
    spec=patterns,
    tokens=st.integers(2, CONTEXT),
    position=st.sampled_from([None, ALiBi(), Rope(), T5(), Shaw(distance=4), Music()]),
    weights=st.sampled_from(
        [{}, {"score": ScaledDot(cap=2.0)}, {"normalizer": Softmax(temperature=2.0)}]
    ),
)
def test_blocks_equal_a_mask(
    spec: Any, tokens: int, position: Any, weights: dict[str, Any]
) -> None:
    """With any position, score and normalizer: outputs and gradients."""
    if isinstance(position, Music) and not spec.causal:
        position = None
    model = perturbed(config_of(spec, position=position, attention=weights)).double()
    ids, found = random_ids(2, tokens), []
    for saving in (0, math.inf):
        with blocks_of(saving=saving):
            hidden = model.hidden(ids)[0]
            grad = torch.linspace(-1, 1, hidden.numel(), dtype=torch.float64).view(hidden.shape)
            parameters = [p for name, p in model.named_parameters() if "head" not in name]
            gradients = torch.autograd.grad(hidden, parameters, grad, allow_unused=True)
        found.append((hidden, [each for each in gradients if each is not None]))

    torch.testing.assert_close(*found)


@pytest.mark.parametrize("weights", [{"score": Additive()}, {"normalizer": LocalP(window=3)}])
def test_blocks_of_documents_equal_a_mask(weights: dict[str, Any]) -> None:
    """What depends on positions gets those in the documents."""
    model = perturbed(config_of(Window(size=5), position=ALiBi(), attention=weights)).double()
    ids, documents = random_ids(2, CONTEXT), torch.tensor([[0] * 13 + [1] * 27, [0] * 31 + [1] * 9])
    found = []
    for saving in (0, math.inf):
        with blocks_of(saving=saving):
            found.append(model(ids, document_ids=documents))

    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)  # LocalP computes in float32


@settings(max_examples=25)
@given(
    spec=windows | two_sided,
    cuts=st.lists(st.integers(1, CONTEXT - 1), max_size=5, unique=True).map(sorted),
)
def test_documents_in_blocks_are_isolated(spec: Any, cuts: list[int]) -> None:
    """Each has the outputs that it has alone, computed with a mask."""
    model = perturbed(config_of(spec, position=ALiBi())).double()
    ids = random_ids(1, CONTEXT)
    lengths = [b - a for a, b in zip([0, *cuts], [*cuts, CONTEXT], strict=True)]
    documents = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))[None]
    with blocks_of():
        together = model(ids, document_ids=documents)
    with blocks_of(saving=math.inf):
        alone = [model(part) for part in ids.split(lengths, dim=1)]

    torch.testing.assert_close(together, torch.cat(alone, dim=1))


def influence(model: Any, layers: int, tokens: int) -> Tensor:
    """Whether the output at t of the first *layers* blocks depends on the input at s: (T, T)."""
    x = torch.randn(1, tokens, 32, dtype=torch.float64, requires_grad=True)
    y, context = x, context_of(x)
    for block in model.blocks[:layers]:
        y, _ = block(y, context)
    rows = [torch.autograd.grad(y[0, t].sum(), x, retain_graph=True)[0][0] for t in range(tokens)]
    return torch.stack(rows).abs().sum(-1) > 0


@pytest.mark.parametrize("spec", PATTERNS, ids=str)
@pytest.mark.parametrize("saving", [0, math.inf])
def test_influence_has_exactly_the_reach_of_the_pattern(spec: Any, saving: float) -> None:
    """The gradient of a token's output is zero outside it, and not zero inside."""
    model = perturbed(config_of(spec, position=None)).double()
    with blocks_of(saving=saving):
        found = influence(model, layers=1, tokens=CONTEXT)

    assert torch.equal(found, allowed(spec, CONTEXT).any(0))


def test_layers_of_windows_reach_further() -> None:
    """L layers of w tokens reach L (w - 1) tokens back, and no further."""
    model = perturbed(config_of(Window(size=4), position=None, layers=3)).double()
    with blocks_of():
        found = influence(model, layers=3, tokens=CONTEXT)

    assert torch.equal(found, torch.ones(CONTEXT, CONTEXT).tril().triu(-3 * 3).bool())


@pytest.mark.parametrize("size", [2, 4])
def test_size_counts_all_tokens_as_in_transformers(size: int) -> None:
    """The mask of Mistral and others there; it is one token narrower than the other convention."""
    index = torch.arange(CONTEXT)
    theirs = sliding_window_overlay(size)(0, 0, index[:, None], index) & (index <= index[:, None])

    assert torch.equal(allowed(Window(size=size), CONTEXT)[0], theirs)
    assert torch.equal(allowed(Window(size=size - 1, counts="others"), CONTEXT)[0], theirs)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 4, "causal": False}, "set an odd size, or counts=others"),
        ({"size": 3, "causal": False, "counts": "others"}, "set an even size"),
        ({"size": 3, "dilations": ()}, "dilations must have at least one"),
        ({"size": 3, "dilations": (0,)}, "dilations must be above 0"),
        ({"size": 3, "deeper_sizes": (0,)}, "deeper_sizes must be above 0"),
        ({"size": 3, "first": -1}, "first must be at least 0"),
    ],
)
def test_windows_that_cannot_be_are_refused(fields: dict[str, Any], words: str) -> None:
    """The message says what to set."""
    with pytest.raises(ConfigError, match=words):
        Window(**fields)


def test_more_dilations_than_heads_are_refused() -> None:
    """No distance is ignored silently."""
    with pytest.raises(ConfigError, match="5 dilations are too many for 4 heads"):
        pattern_of(Window(size=3, dilations=(1, 2, 3, 4, 5)))


def test_windows_grow_with_depth() -> None:
    """Layers are divided evenly among the sizes, as in the paper's model of 12 layers."""
    spec = Window(size=32, deeper_sizes=(64, 128, 512))
    sizes = [spec.in_layer(layer, 12) for layer in range(12)]

    assert sizes == [32] * 3 + [64] * 3 + [128] * 3 + [512] * 3


class Largest(TorchDispatchMode):
    """Keeps the largest number of elements of any tensor that is made."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call *func*, and look at its results."""
        results = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in tree_leaves(results) if isinstance(each, Tensor)]
        self.found = max([self.found, *sizes])
        return results


@pytest.mark.parametrize(
    ("spec", "documents"),
    [
        (Window(size=8), False),
        (Window(size=8), True),
        (Window(size=8, dilations=(1, 2)), True),
        (Window(size=8, dilations=(1, 2), first=2), False),
        (Window(size=9, causal=False), True),
        (Window(size=9, causal=False, first=2), False),
        (BigBird(block=8, window=1, global_blocks=1, random_blocks=1), False),
        (BigBird(block=8, causal=False, global_blocks=1, random_blocks=1), False),
    ],
    ids=str,
)
def test_no_tensor_has_a_number_for_each_pair(spec: Any, documents: bool) -> None:
    """Neither in the forward pass nor in the backward one: the largest grows with the length.

    Documents with global tokens or blocks, which begin anywhere in a row, are masked instead.
    """
    sizes = []
    for tokens in (512, 1024):
        config = dataclasses.replace(config_of(spec), context=1024, layers=1)
        model, ids = perturbed(config), random_ids(1, tokens)
        document_ids = (torch.arange(tokens) // 100)[None] if documents else None
        with Largest() as largest:
            model.hidden(ids, document_ids=document_ids)[0].sum().backward()
        sizes.append(largest.found)

    assert sizes[1] <= 2.1 * sizes[0]
    assert sizes[1] < 1024 * 1024


def test_dense_attention_has_a_number_for_each_pair() -> None:
    """The test above can fail."""
    model = perturbed(dataclasses.replace(config_of(Causal()), context=1024, layers=1))
    with Largest() as largest:
        model.hidden(random_ids(1, 512))[0].sum().backward()

    assert largest.found >= 512 * 512


@pytest.mark.parametrize("spec", RANDOM, ids=str)
def test_blocks_have_exactly_their_random_blocks(spec: BigBird) -> None:
    """Besides window and global blocks, none of them twice, wherever there are enough others."""
    count = 20
    plain = block_graph(dataclasses.replace(spec, random_blocks=0), 0, count)
    graph = block_graph(spec, 0, count)
    assert (graph & plain).equal(plain)
    extra = (graph & ~plain).sum(1)
    for block in range(count):
        available = (~plain[block, : block if spec.causal else count]).sum()
        assert extra[block] == min(spec.random_blocks, available)


def test_random_blocks_differ_by_layer_and_seed() -> None:
    """And are the same in every process, and in a causal model for every context."""
    spec = RANDOM[0]
    graph = block_graph(spec, 0, 20)

    assert not graph.equal(block_graph(spec, 1, 20))
    assert not graph.equal(block_graph(dataclasses.replace(spec, seed=1), 0, 20))
    assert graph.equal(block_graph(spec, 0, 30)[:20, :20])
    assert graph[19].nonzero().flatten().tolist() == [0, 6, 8, 18, 19]


def test_random_blocks_make_paths_short() -> None:
    """With a global block, any block reaches any other in two steps, the paper's star graph.

    Without one, random blocks need fewer steps than windows alone.
    """

    def steps(**fields: Any) -> int:
        graph = block_graph(BigBird(causal=False, **fields), 0, 40).float()
        reached, count = graph, 1
        while not reached.all():
            reached, count = ((reached @ graph) > 0).float(), count + 1
        return count

    assert steps(global_blocks=1, random_blocks=0) == 2
    assert steps(global_blocks=0, random_blocks=3) < 8
    assert steps(global_blocks=0, random_blocks=0) == 39


def their_big_bird(training: bool) -> tuple[Any, Any, Callable[[Tensor], Tensor]]:
    """BigBird of transformers, ours with its weights, and its forward pass over 48 tokens.

    In training its lists of random blocks are ours: it draws them by another generator.
    """
    spec = BigBird(block=4, causal=False, both_ends=True, random_blocks=2)
    config = BigBirdConfig(
        hidden_size=32,
        num_attention_heads=HEADS,
        block_size=4,
        num_random_blocks=2,
        attention_type="block_sparse",
        attention_probs_dropout_prob=0.0,
    )
    theirs = BigBirdBlockSparseAttention(config, seed=0).double().train(training)
    attention = GroupedQuery(heads=HEADS, kv_heads=HEADS, pattern=spec)
    ours = mechanism(
        attention, dataclasses.replace(SMALL, context=48, attention=attention, bias=True)
    ).double()
    for name in ("query", "key", "value"):
        getattr(ours, name).load_state_dict(getattr(theirs, name).state_dict())
    torch.nn.init.eye_(ours.output.weight)
    torch.nn.init.zeros_(ours.output.bias)
    plain = block_graph(dataclasses.replace(spec, random_blocks=0), 0, 12)
    drawn = block_graph(spec, 0, 12) & ~plain
    lists = [row.nonzero().flatten().tolist() for row in drawn[1:-1]]
    if training:
        theirs._bigbird_block_rand_mask_with_head = lambda **_: [
            torch.tensor(lists).numpy() for _ in range(HEADS)
        ]

    def forward(x: Tensor) -> Tensor:
        ones = torch.ones(x.shape[:2], dtype=torch.float64)
        blocked, band, rows, columns = BigBirdModel.create_masks_for_block_sparse_attn(ones, 4)
        y: Tensor = theirs(x, band, rows, columns, blocked, blocked)[0]
        return y

    return ours, theirs, forward


@pytest.mark.parametrize("saving", [0, math.inf])
def test_big_bird_equals_that_of_transformers(saving: float) -> None:
    """In training mode, with the same random blocks: outputs and gradients."""
    ours, theirs, forward = their_big_bird(training=True)
    x = torch.randn(2, 48, 32, dtype=torch.float64, requires_grad=True)
    expected = forward(x)
    with blocks_of(saving=saving):
        found = ours(x, context_of(x))[0]
    grad = torch.randn_like(found)
    names = ("query.weight", "key.weight", "value.weight", "value.bias")
    gradients = [
        torch.autograd.grad(y, [x, *(each.get_parameter(name) for name in names)], grad)
        for y, each in ((found, ours), (expected, theirs))
    ]

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*gradients)


def test_transformers_counts_the_first_block_again_in_evaluation() -> None:
    """There its random blocks are all block 0; ours are those of training in both modes."""
    ours, _, forward = their_big_bird(training=False)
    x = torch.randn(2, 48, 32, dtype=torch.float64)
    expected, block = forward(x), torch.arange(48) // 4
    spec = BigBird(block=4, causal=False, both_ends=True, random_blocks=0)
    pairs = block_graph(spec, 0, 12)[block[:, None], block]
    bias = torch.zeros(48, 48, dtype=torch.float64).masked_fill(~pairs, -math.inf)
    middle = (block > 0) & (block < 11)
    bias[middle, :4] = math.log(3)  # once as a global block, twice as a random one
    q, k, v = (
        part(x).view(2, 48, HEADS, 8).transpose(1, 2) for part in (ours.query, ours.key, ours.value)
    )
    counted = F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)

    torch.testing.assert_close(counted, expected)
    assert not torch.allclose(ours(x, context_of(x))[0], expected)


def bytes_of(spec: Any, tokens: int) -> int:
    """The size of the state of one row of *tokens* tokens in one layer."""
    config = dataclasses.replace(config_of(spec), context=400, layers=1)
    model = perturbed(config)
    cache = model.new_cache(1)
    with torch.no_grad():
        model(random_ids(1, tokens), cache=cache)
    return cache.nbytes


def test_decoding_keeps_the_window_and_the_global_tokens() -> None:
    """2 kv heads of 8, keys and values, 4 bytes; a causal model keeps what it may draw."""
    token = 2 * 2 * 8 * 4

    assert bytes_of(Window(size=5, first=3), 300) == (5 + 3) * token
    assert bytes_of(Window(size=5, dilations=(1, 4)), 300) == (4 * 4 + 1) * token
    assert bytes_of(Window(size=5, first=2, global_positions=(9,)), 300) == (8 + 3) * token
    assert bytes_of(BigBird(block=8), 300) == 400 * token


@pytest.mark.parametrize("spec", [Window(size=5, first=3), Window(size=3, first=1)], ids=str)
def test_a_truncated_state_continues(spec: Any) -> None:
    """While the ring has not overwritten anything; otherwise it says so."""
    model, ids = perturbed(config_of(spec)), random_ids(1, 12)
    cache = model.new_cache(1)
    model(ids[:, :4], cache=cache)
    kept = cache.truncate(2)
    assert kept == (spec.size == 5)
    if kept:
        rest = model(ids[:, 2:], cache=cache)
        torch.testing.assert_close(rest, model(ids)[:, 2:])


@pytest.mark.parametrize("spec", [Window(size=4), Window(size=5, first=2), RANDOM[0]], ids=str)
def test_a_prompt_read_in_blocks_decodes(spec: Any) -> None:
    """A state that holds nothing before it is no reason for a mask."""
    model, ids = perturbed(config_of(spec)), random_ids(2, CONTEXT)
    cache = model.new_cache(2)
    with blocks_of(), torch.no_grad():
        parts = [model(part, cache=cache) for part in ids.split([30, 1, 1, 8], dim=1)]
    with blocks_of(saving=math.inf), torch.no_grad():
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Window(size=5), 5),
        (Window(size=5, first=3), 8),
        (Window(size=5, causal=False), 5),
        (Window(size=3, dilations=(2,)), 3),
        (BigBird(block=2, window=1, global_blocks=1, random_blocks=2), 8),
    ],
    ids=str,
)
def test_flops_count_the_keys_of_a_query(spec: Any, expected: int) -> None:
    """Not those of the whole context, nor of whole blocks of a layout."""
    assert pattern_of(spec).attended(CONTEXT) == expected


@pytest.mark.slow
@pytest.mark.parametrize("spec", PATTERNS, ids=str)
def test_compiled_blocks_compute_the_same(spec: Any) -> None:
    """In one graph."""
    model, ids = perturbed(config_of(spec)), random_ids(2, CONTEXT)
    with blocks_of():
        expected = model(ids)
        torch.compiler.reset()
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)

        torch.testing.assert_close(compiled(ids), expected)
