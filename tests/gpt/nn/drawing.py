"""Hypothesis draws specs from the types of their fields, and models from their specs."""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture, GPTConfig

COUNTS = st.integers(1, 6)
SHARES = st.sampled_from([1, 2, 4])
"""Numbers of heads, so that most pairs of them divide."""
SWITCH = st.booleans()
FIELDS: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("BatchNorm", "leaks"): st.just(True),
    ("BatchNorm", "momentum"): st.just(1.0),  # `perturbed` sets the statistics by one batch
    ("DynamicNTK", "original_context"): st.sampled_from([None, 16]),  # all keys are kept rotated
    ("Experts", "count"): st.sampled_from([4, 6, 8]),
    ("RMSNorm", "fraction"): st.sampled_from([0.25, 0.5, 1.0]),
    ("Rope", "fraction"): st.sampled_from([0.25, 0.5, 1.0]),
}
"""Fields whose type says too little of what they can be."""
FIELDS |= {(kind, "causal"): st.just(True) for kind in ("Window", "BigBird")}


def values(hint: Any, default: Any = None) -> st.SearchStrategy[Any]:
    """Values of a field of type *hint*: near *default* if that is a number."""
    if hint is type(None):
        return st.none()
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of([values(each, default) for each in get_args(hint)])
    if get_origin(hint) is tuple:
        each = get_args(hint)[0]
        unique = get_origin(each) is Literal
        return st.lists(values(each), max_size=3, unique=unique).map(tuple)
    if hint is bool:
        return SWITCH
    if hint is int:
        return COUNTS
    if hint is float:
        about = default if isinstance(default, float) and default else 0.5
        return st.sampled_from([about, about / 2, 1.5 * about])
    return specs(hint)


@functools.cache
def specs(kind: type) -> st.SearchStrategy[Any]:
    """Specs of type *kind*: some fields have other values than their defaults."""
    hints, drawn = get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        usual = SHARES if field.name in ("heads", "kv_heads") else None
        special = FIELDS.get((kind.__name__, field.name), usual)
        drawn[field.name] = values(hints[field.name], field.default) if special is None else special
    needed = {
        field.name: drawn.pop(field.name)
        for field in dataclasses.fields(kind)
        if (field.default is field.default_factory is dataclasses.MISSING)
        or (kind.__name__, field.name) in FIELDS
    }
    fields = st.fixed_dictionaries(needed, optional=drawn)
    made = fields.map(lambda fields: attempt(kind, **fields))
    return made.filter(lambda spec: spec is not None)


def attempt(kind: Any, **fields: Any) -> Any:
    """The spec with *fields*; None if they do not fit together."""
    try:
        return kind(**fields)
    except ConfigError:
        return None


@st.composite
def models(draw: st.DrawFn, small: GPTConfig) -> GPTConfig:
    """*small*, causal, with other specs on some axes: each that fits those drawn before."""
    axes = {
        field.name: field.default
        for field in dataclasses.fields(Architecture)
        if field.name not in ("context", "layers", "width")
    }
    hints = get_type_hints(Architecture)
    config = dataclasses.replace(small, layers=draw(st.integers(1, 3)))
    for axis in draw(st.permutations(sorted(axes))):
        for _ in range(draw(st.integers(0, 2))):
            spec = draw(values(hints[axis], axes[axis]))
            other = attempt(functools.partial(dataclasses.replace, config), **{axis: spec})
            config = other if other is not None and other.causal else config
    return config
