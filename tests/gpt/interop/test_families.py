"""Every family: models of transformers in, and the same models out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from gpt.errors import ConfigError, FormatError
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.interop.families.table import FAMILIES, UNSUPPORTED, family_named, family_of
from gpt.interop.fields import Only, names_of
from gpt.interop.huggingface import export_folder, import_folder
from gpt.interop.imported import write_imported
from gpt.runs.reading import read_checkpoint
from pytok.tokenizer import Tokenizer
from tests.gpt.interop.exportable import make_tokenizer
from tests.gpt.interop.families_page import PAGE, written
from tests.gpt.interop.published import CONFIGS, make_config, save

IDS = torch.randint(300, (2, 64), generator=torch.Generator().manual_seed(1))
AS = {
    "opt": "gpt2",
    "mistral": "llama",
    "phi3": "mistral",
    "seed_oss": "qwen2",
    "helium": "ernie4_5",
    "gpt_neox-sequential": "nemotron",
    "codegen": "gptj",
}
"""Models that are written as another family, to which they belong, too."""
NEUTRAL = {
    # What every config of transformers has.
    *("transformers_version", "architectures", "model_type", "_name_or_path", "dtype", "id2label"),
    *("output_hidden_states", "output_attentions", "return_dict", "chunk_size_feed_forward"),
    *("label2id", "problem_type", "is_encoder_decoder", "is_decoder", "use_cache"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    # Initialization and training.
    *("initializer_range", "init_std", "initializer_factor", "attention_dropout", "dropout"),
    *("hidden_dropout", "residual_dropout", "embedding_dropout", "classifier_dropout", "layerdrop"),
    *("resid_pdrop", "embd_pdrop", "emb_pdrop", "attn_pdrop", "embed_dropout", "resid_dropout"),
    *("output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "init_device"),
    # Heads for other tasks, and how something is computed, not what.
    *("summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels"),
    *("summary_first_dropout", "reorder_and_upcast_attn", "attention_softmax_in_fp32"),
    *("scale_attention_softmax_in_fp32", "pretraining_tp"),
    # What others follow from.
    *("max_window_layers", "original_max_position_embeddings", "qk_head_dim"),
    *("sliding_window_pattern", "_sliding_window_pattern"),
    # What transformers does not read, or not with the values that are supported.
    *("learned_pos_emb", "embedding_fraction", "norm_type", "num_kv_heads"),
    *("num_ln_in_parallel_attn", "num_nextn_predict_layers", "n_ctx"),
}
"""Fields of configs that do not change what a model computes."""

Saved = tuple[PreTrainedModel, Path]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A tokenizer with GPT-2's pattern and 301 ids."""
    return make_tokenizer()


@pytest.fixture(scope="module")
def saved(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Saved]:
    """Return a function that saves the model of a name, once."""
    done: dict[str, Saved] = {}

    def of(name: str) -> Saved:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            done[name] = save(make_config(name), folder, tokenizer), folder
        return done[name]

    return of


@pytest.mark.parametrize("name", CONFIGS)
def test_an_imported_model_computes_the_logits_of_transformers(
    name: str, saved: Callable[..., Saved]
) -> None:
    """Within 1e-4. Rows past the tokenizer's ids are dropped."""
    theirs, folder = saved(name)
    ours, tokenizer, _ = import_folder(folder)
    with torch.no_grad():
        expected = theirs(IDS).logits[..., :301]

    assert ours.config.vocab_size == tokenizer.n_vocab == 301
    assert 1 < expected.std() < 10
    torch.testing.assert_close(ours(IDS), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_exported_model_is_the_imported_one(
    name: str, saved: Callable[..., Saved], tmp_path: Path
) -> None:
    """Transformers loads the same family, computes the same logits, and writes the same text."""
    theirs, folder = saved(name)
    model, tokenizer, generation = import_folder(folder)
    write_imported(tmp_path / "run", model, tokenizer, generation=generation)
    family = export_folder(read_checkpoint(tmp_path / "run"), tmp_path / "hf")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32).eval()
    given = tokenizer.encode_ordinary("The cat")
    with torch.no_grad():
        torch.testing.assert_close(
            again(IDS).logits, theirs(IDS).logits[..., :301], rtol=0, atol=1e-4
        )
        written = again.generate(torch.tensor([given]), max_new_tokens=30, do_sample=False)
    ours = generate(model, tokenizer, "The cat", max_tokens=30, sampling=Sampling(temperature=0))
    end = given + [id for id in written[0, len(given) :].tolist() if id != tokenizer.eot_token]

    assert family.name == AS.get(name, name.partition("-")[0])
    assert tokenizer.decode(given) + "".join(ours) == tokenizer.decode(end)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_the_same_after_writing_and_reading(name: str) -> None:
    """So all of it is written, for its own family and for the one that is chosen."""
    family = FAMILIES[name.partition("-")[0]]
    config = family.read(make_config(name).to_dict())

    assert family.mismatches(config) == []
    assert family_of(config).mismatches(config) == []


def test_every_family_is_tested() -> None:
    """Each has a model in `CONFIGS`."""
    assert {name.partition("-")[0] for name in CONFIGS} == set(FAMILIES)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_of_a_config_is_known(name: str) -> None:
    """It is read, refused, or without effect."""
    known = {*names_of(FAMILIES[name.partition("-")[0]].fields), *NEUTRAL}
    if "moe" in name:
        known.add("intermediate_size")  # of layers without experts, which are refused

    assert set(make_config(name).to_dict()) - known == set()


REFUSED = [
    (family, codec)
    for family, each in FAMILIES.items()
    for codec in each.fields
    if isinstance(codec, Only)
]


@pytest.mark.parametrize(("family", "codec"), REFUSED, ids=lambda each: getattr(each, "name", each))
def test_a_value_that_gpt_does_not_compute_is_refused_by_name(family: str, codec: Only) -> None:
    """Booleans of the other value, and other numbers."""
    name = next(name for name in CONFIGS if name.partition("-")[0] == family)
    other = not codec.supported if isinstance(codec.supported, bool) else 0.123
    fields: dict[str, Any] = make_config(name).to_dict() | {codec.name: other}

    with pytest.raises((FormatError, ConfigError), match=f"^{codec.name} is {other}; supported"):
        FAMILIES[family].read(fields)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sharded_files_of_16_bits_are_read(
    dtype: torch.dtype, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """As their values in float32."""
    save(make_config("qwen2"), tmp_path, tokenizer, dtype=dtype, max_shard_size="50KB")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()

    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    torch.testing.assert_close(
        import_folder(tmp_path).model(IDS), theirs(IDS).logits[..., :301], rtol=0, atol=1e-4
    )


def test_the_page_has_all_families() -> None:
    """`python -m tests.gpt.interop.families_page` writes its table."""
    page = PAGE.read_text(encoding="utf-8")

    assert written(page) == page


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_an_unsupported_family_is_refused_with_its_reason(kind: str) -> None:
    """None of them has become supported."""
    assert kind not in FAMILIES
    with pytest.raises(FormatError, match=UNSUPPORTED[kind]):
        family_named(kind)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_malformed_value_of_any_field_is_an_error_with_a_reason(name: str) -> None:
    """Or it is read: nothing else is raised."""
    family, fields = FAMILIES[name], make_config(name).to_dict()
    layers = family.read(fields).layers
    values = (None, True, 0, -1, 1e300, 10**30, "x", [], [None], {}, {"rope_type": []})
    for field in names_of(family.fields):
        for value in values:
            with suppress(FormatError, ConfigError):
                family.read(fields | {field: value}, layers)
