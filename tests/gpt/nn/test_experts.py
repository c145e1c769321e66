"""Experts equal transformers' and plain definitions: outputs, gradients, losses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DeepseekV2Config, DeepseekV3Config, MixtralConfig
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Moe
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE
from transformers.models.mixtral.modeling_mixtral import (
    MixtralSparseMoeBlock,
    load_balancing_loss_func,
)

from gpt.data.batch import PADDING
from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.nn.balance import BalanceBias as BiasedBalance
from gpt.nn.context import Context
from gpt.nn.expert_linear import Dispatch, ExpertLinear, grouped_linear
from gpt.nn.experts import Experts as ExpertsModule
from gpt.nn.mlp import GatedMLP
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.experts import BalanceBias, BalanceLoss, Experts, Groups
from gpt.spec.mlp import MLP
from gpt.spec.wiring import SandwichNorm
from tests.gpt.models import context_of, mechanism

WIDTH, HIDDEN, COUNT = 16, 8, 8
EXPERT = MLP(activation="silu", gated=True, hidden=HIDDEN)
SIZES: dict[str, Any] = {"hidden_size": WIDTH, "num_experts_per_tok": 3, "hidden_act": "silu"}
FINE: dict[str, Any] = {
    **SIZES,
    "moe_intermediate_size": HIDDEN,
    "n_routed_experts": COUNT,
    "n_shared_experts": 2,
    "num_attention_heads": 2,
    "n_group": 4,
    "topk_group": 2,
}


def mixtral() -> nn.Module:
    return MixtralSparseMoeBlock(
        MixtralConfig(**SIZES, intermediate_size=HIDDEN, num_local_experts=COUNT)
    )


def deepseek_v2(topk_method: str) -> nn.Module:
    config = DeepseekV2Config(**FINE, topk_method=topk_method, routed_scaling_factor=2.5)
    return DeepseekV2Moe(config)


def deepseek_v3(norm: bool) -> nn.Module:
    config = DeepseekV3Config(**FINE, norm_topk_prob=norm, routed_scaling_factor=2.5)
    return DeepseekV3MoE(config)


def spec(**fields: Any) -> Experts:
    return Experts(**{"expert": EXPERT, "count": COUNT, "top_k": 3, "balance": None, **fields})


V2 = spec(shared=2, renormalize=False, scale=2.5)
V3 = spec(
    shared=2, score="sigmoid", scale=2.5, balance=BalanceBias(), groups=Groups(count=4, top=2)
)
ORACLES = {
    "Mixtral": (mixtral, spec()),
    "DeepSeek-V2": (lambda: deepseek_v2("greedy"), V2),
    "DeepSeek-V2, groups": (
        lambda: deepseek_v2("group_limited_greedy"),
        dataclasses.replace(V2, groups=Groups(count=4, top=2, best=1)),
    ),
    "DeepSeek-V3": (lambda: deepseek_v3(True), V3),
    "DeepSeek-V3, not renormalized": (
        lambda: deepseek_v3(False),
        dataclasses.replace(V3, renormalize=False),
    ),
}


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def experts(spec: Experts, architecture: Architecture | None = None) -> ExpertsModule:
    """The experts of *spec* with random weights, float64."""
    fields = {"width": WIDTH, "mlp": spec, "attention": GroupedQuery(heads=2, kv_heads=2)}
    module: ExpertsModule = mechanism(spec, architecture or Architecture(**fields)).double()
    for seed, parameter in enumerate(module.parameters()):
        parameter.data = normal(*parameter.shape, seed=seed) * 0.5
    return module


def padded(x: Tensor, counted: Tensor | None) -> Context:
    """The context of x (B, T, width) with padding where *counted* (B, T) is false."""
    ids = None if counted is None else torch.where(counted, 0, PADDING)
    return dataclasses.replace(context_of(x), document_ids=ids)


def load(module: ExpertsModule, oracle: Any) -> None:
    """Give *module* the weights of *oracle*, of which transformers packs two in one tensor."""
    gate, value = oracle.experts.gate_up_proj.detach().chunk(2, dim=1)
    assert module.routed.gate is not None
    module.routed.gate.weight.data = gate.clone()
    module.routed.input.weight.data = value.clone()
    module.routed.output.weight.data = oracle.experts.down_proj.detach().clone()
    module.router.weight.data = oracle.gate.weight.detach().clone()
    if module.shared is not None:
        shared = oracle.shared_experts
        assert isinstance(module.shared, GatedMLP)
        module.shared.gate.weight.data = shared.gate_proj.weight.detach().clone()
        module.shared.input.weight.data = shared.up_proj.weight.detach().clone()
        module.shared.output.weight.data = shared.down_proj.weight.detach().clone()
    if isinstance(module.router.balance, BiasedBalance):
        module.router.balance.bias.data = oracle.gate.e_score_correction_bias.clone()


@pytest.mark.parametrize("name", ORACLES)
def test_experts_equal_those_of_transformers(name: str) -> None:
    """Outputs and all gradients, with random weights, in float32, in which transformers routes."""
    make, fields = ORACLES[name]
    oracle: Any = make()
    for seed, tensor in enumerate([*oracle.parameters(), *oracle.buffers()]):
        tensor.data = 0.5 * normal(*tensor.shape, seed=seed, dtype=torch.float32)
    module = experts(fields).float()
    load(module, oracle)
    inputs = [normal(2, 9, WIDTH, seed=50, dtype=torch.float32).requires_grad_() for _ in range(2)]
    ours, _ = module(inputs[0])
    theirs = oracle(inputs[1])
    weights = normal(2, 9, WIDTH, seed=51, dtype=torch.float32)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()

    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-5)
    gate, value = oracle.experts.gate_up_proj.grad.chunk(2, dim=1)
    pairs = [
        (module.routed.gate, gate),
        (module.routed.input, value),
        (module.routed.output, oracle.experts.down_proj.grad),
        (module.router, oracle.gate.weight.grad),
    ]
    if module.shared is not None:
        mlp = oracle.shared_experts
        pairs += [
            (getattr(module.shared, name), linear.weight.grad)
            for name, linear in zip(
                ("gate", "input", "output"),
                (mlp.gate_proj, mlp.up_proj, mlp.down_proj),
                strict=True,
            )
        ]
    for part, expected in pairs:
        torch.testing.assert_close(part.weight.grad, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_experts_equal_a_plain_definition(gated: bool, bias: bool) -> None:
    """Token by token and expert by expert, in float64."""
    fields = spec(expert=MLP(activation="gelu", gated=gated, hidden=6), scale=1.5)
    sizes = {"width": WIDTH, "mlp": fields, "bias": bias}
    attention = GroupedQuery(heads=2, kv_heads=2)
    module = experts(fields, Architecture(attention=attention, **sizes))
    x = normal(2, 5, WIDTH)
    routed = module.routed

    def linear(layer: ExpertLinear, row: Tensor, expert: int) -> Tensor:
        y = layer.weight[expert] @ row
        return y if layer.bias is None else y + layer.bias[expert]

    for row, output in zip(x.flatten(0, 1), module(x)[0].flatten(0, 1), strict=True):
        logits, chosen = (module.router.weight @ row).topk(3)
        expected = torch.zeros(WIDTH, dtype=torch.float64)
        for weight, expert in zip(logits.softmax(0), chosen.tolist(), strict=True):
            hidden = linear(routed.input, row, expert)
            if routed.gate is not None:
                hidden = F.gelu(linear(routed.gate, row, expert)) * hidden
            else:
                hidden = F.gelu(hidden)
            expected += 1.5 * weight * linear(routed.output, hidden, expert)
        torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("inputs", [8, 5])
def test_grouped_products_equal_those_of_each_expert(dtype: torch.dtype, inputs: int) -> None:
    """By torch's kernel, and where it does not fit; also with experts without rows."""
    chosen = torch.tensor([0, 0, 2, 2, 2, 5])
    x = normal(6, inputs, dtype=dtype).requires_grad_()
    weight = normal(6, 8, inputs, seed=1, dtype=dtype).requires_grad_()
    y = grouped_linear(x, weight, Dispatch.of(chosen, 6).ends)
    expected = torch.einsum("ni,noi->no", x, weight[chosen])
    grad = normal(6, 8, seed=2, dtype=dtype)
    tolerance = {"rtol": 2e-2, "atol": 5e-2} if dtype == torch.bfloat16 else {}

    torch.testing.assert_close(y, expected, **tolerance)  # type: ignore[arg-type]
    for ours, theirs in zip(
        torch.autograd.grad(y, (x, weight), grad),
        torch.autograd.grad(expected, (x, weight), grad),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, **tolerance)  # type: ignore[arg-type]


def test_the_balance_loss_is_that_of_transformers() -> None:
    """Which counts every choice of a token, so it is top_k times as large; without padding."""
    module = experts(spec(balance=BalanceLoss(weight=0.5)))
    x, counted = normal(2, 9, WIDTH), torch.arange(18).view(2, 9) % 4 != 0
    logits = (x @ module.router.weight.T).flatten(0, 1)
    for mask in (None, counted):
        _, loss = module(x, padded(x, mask))
        expected = load_balancing_loss_func((logits,), COUNT, 3, mask)

        torch.testing.assert_close(3 * loss, 0.5 * expected, check_dtype=False)


def test_sequences_are_balanced_separately() -> None:
    """The loss is the mean of those of the sequences."""
    batch, sequence = (
        experts(spec(balance=BalanceLoss(over=over))) for over in ("batch", "sequence")
    )
    x = normal(3, 9, WIDTH)
    losses = torch.stack([batch(row)[1] for row in x.split(1)])

    torch.testing.assert_close(sequence(x)[1], losses.mean())


def test_an_even_load_has_a_loss_of_the_weight() -> None:
    """Equal scores for all experts."""
    module = experts(spec(balance=BalanceLoss(weight=0.25)))
    module.router.weight.data.zero_()

    assert module(normal(1, 4, WIDTH))[1].item() == pytest.approx(0.25)


def test_the_z_loss_is_the_mean_square_of_log_partitions() -> None:
    """Of tokens that are not padding, added to the loss of the balance."""
    module = experts(spec(z_loss=0.1))
    x, counted = normal(1, 4, WIDTH), torch.tensor([[True, True, True, False]])
    expected = (x[0, :3] @ module.router.weight.T).exp().sum(-1).log().square().mean() / 10

    torch.testing.assert_close(module(x, padded(x, counted))[1], expected)


def test_the_bias_follows_the_load() -> None:
    """After a step: up where fewer tokens than average chose the expert, down where more did."""
    module = experts(spec(balance=BalanceBias(rate=0.125)))
    balance = module.router.balance
    assert isinstance(balance, BiasedBalance)
    x = normal(2, 9, WIDTH)
    chosen = (x @ module.router.weight.T).topk(3).indices
    for row in x.split(1):  # the passes of a step count together
        module(row)
    balance.after_step()
    load = chosen.flatten().bincount(minlength=COUNT).double()

    assert torch.equal(balance.bias, 0.125 * (load.mean() - load).sign())
    balance.after_step()  # without tokens
    assert torch.equal(balance.bias, 0.125 * (load.mean() - load).sign())


def test_the_bias_does_not_change_in_evaluation() -> None:
    """Only tokens of training count."""
    module = experts(spec(balance=BalanceBias())).eval()
    module(normal(2, 9, WIDTH))
    balance = module.router.balance
    assert isinstance(balance, BiasedBalance)
    balance.after_step()

    assert not balance.bias.any()


def test_a_token_gets_the_same_experts_in_any_batch() -> None:
    """None has a capacity that other tokens could use up."""
    module, x = experts(spec(balance=BalanceLoss())), normal(4, 9, WIDTH)

    torch.testing.assert_close(module(x)[0][2, 5], module(x[2:3, 5:6])[0][0, 0])


def test_hidden_units_of_experts_are_dropped() -> None:
    """While training, as in an MLP."""
    attention = GroupedQuery(heads=2, kv_heads=2)
    dropout = Dropout(hidden=0.5)
    module = experts(
        spec(), Architecture(attention=attention, width=WIDTH, mlp=spec(), dropout=dropout)
    )
    x = normal(1, 4, WIDTH)

    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])


def test_experts_are_random_where_branches_begin_in_another_way() -> None:
    """Their last matrices are not zero in a block whose output norm begins as zero."""
    config = GPTConfig(vocab_size=50, mlp=spec(), wiring=SandwichNorm())

    assert all(block.mlp.routed.output.weight.any() for block in GPT(config).blocks)  # type: ignore[union-attr, operator]


def test_the_first_layers_have_an_mlp() -> None:
    """As wide as all experts of a token, by default."""
    fields = spec(shared=1, first_dense=1)
    architecture = Architecture(layers=2, mlp=fields)
    first, second = (mechanism(fields, architecture, layer) for layer in range(2))

    assert isinstance(first, GatedMLP)
    assert first.input.out_features == (3 + 1) * HIDDEN
    assert isinstance(second, ExpertsModule)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"top_k": 9}, "top_k is 9, but there are 8 experts"),
        ({"groups": Groups(count=3, top=1)}, "8 experts are not divisible into 3 groups"),
        ({"groups": Groups(count=8, top=4)}, "groups.best is 2, but a group has 1 experts"),
        ({"groups": Groups(count=4, top=1)}, "top_k is 3, but 1 groups have 2 experts"),
    ],
)
def test_sizes_that_do_not_fit_are_rejected(fields: dict[str, Any], message: str) -> None:
    """With the field and the sizes."""
    with pytest.raises(ConfigError, match=message):
        spec(**fields)


def test_some_layers_must_have_experts() -> None:
    """Otherwise an MLP would be the choice."""
    with pytest.raises(ConfigError, match="first_dense is 4, so none of the 4 layers has experts"):
        Architecture(mlp=spec(first_dense=4))


@pytest.mark.parametrize("gated", [False, True])
def test_hidden_units_are_dropped_once(gated: bool) -> None:
    """Those that are left are scaled by 1 / (1 - p), and not by its square."""
    architecture = Architecture(width=8, dropout=Dropout(hidden=0.5))
    whole = experts(spec(expert=MLP(gated=gated, hidden=64)), architecture).train()
    module, seen = whole.routed, []
    module.dropout.register_forward_hook(lambda _, inputs, output: seen.extend((*inputs, output)))
    module.output.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    whole(normal(2, 5, 8))
    before, after, read = seen
    kept = after != 0

    torch.testing.assert_close(after[kept], 2 * before[kept])
    assert torch.equal(read, after)
