"""The tokenizer classes of transformers: what they do with a text beyond vocabulary and merges.

A folder without a tokenizer.json names its class in tokenizer_config.json, and the class has the
normalizer, the splits and the special tokens that no file states. The values are those of
transformers 5.24, module by module; its converter to tokenizer.json is the test oracle.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pytok.errors import FormatError

NAMED_TOKENS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
"""The fields of tokenizer_config.json that every class knows, in the order of transformers."""

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN3_5 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_KIMI = "|".join(
    (
        r"[\p{Han}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def byte_level(prefix_space: bool = True, use_regex: bool = True) -> dict[str, Any]:
    """Return the step ByteLevel of a tokenizer.json; the defaults are those of its decoder."""
    return {
        "type": "ByteLevel",
        "add_prefix_space": prefix_space,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


class Class(NamedTuple):
    """What a class does: its normalizer, a digit or a regex to split at first, its named tokens."""

    normalizers: tuple[dict[str, Any], ...] = ()
    regex: str | None = None
    """Splits instead of GPT-2's pattern."""
    only_matches: bool = False
    """Whether what the regex matches is all that is kept, and GPT-2's pattern splits it."""
    suffix: str = ""
    """The end-of-word suffix."""
    digits: bool = False
    prefix_space: bool = False
    tokens: Mapping[str, str] = {}
    """The named tokens where no file has them."""
    drops_flags: bool = False
    """Whether its special tokens are matched exactly, whatever flags the files have."""
    strips_mask: bool = False
    """Whether MASK takes the white space before it."""
    processor: str | None = None
    """Type of its post-processor: RobertaProcessing or TemplateProcessing of CLS and SEP."""
    around: tuple[str, str] = ("cls_token", "sep_token")
    """The named tokens that RobertaProcessing puts around a text."""
    prefix: tuple[str, ...] = ()
    """Special tokens before every text, which EOS follows, if there are all of them."""

    def pre_tokenizer(self, prefix_space: bool) -> dict[str, Any]:
        """Return the ``pre_tokenizer`` of a tokenizer.json."""
        last = byte_level(prefix_space, self.regex is None or self.only_matches)
        steps: list[dict[str, Any]] = []
        if self.regex is not None:
            regex = {"Regex": self.regex}
            behavior = "Removed" if self.only_matches else "Isolated"
            step = {"pattern": regex, "behavior": behavior, "invert": self.only_matches}
            steps = [{"type": "Split", **step}]
        if self.digits:
            steps = [{"type": "Digits", "individual_digits": True}]
        return {"type": "Sequence", "pretokenizers": [*steps, last]} if steps else last


def _all(text: str, *names: str) -> dict[str, str]:
    return {f"{name}_token": text for name in names}


_NFC = {"type": "NFC"}
_END = "<|endoftext|>"
_GPT2 = Class(tokens=_all(_END, "bos", "eos", "unk"))
_ROBERTA = Class(
    tokens=_all("<s>", "bos", "cls")
    | _all("</s>", "eos", "sep")
    | {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"},
    processor="RobertaProcessing",
)
_QWEN = Class((_NFC,), regex=_QWEN2, tokens=_all(_END, "eos", "unk", "pad"), drops_flags=True)

CLASSES = {
    "GPT2Tokenizer": _GPT2,
    "CodeGenTokenizer": _GPT2,
    "WhisperTokenizer": _GPT2._replace(prefix=("<|startoftranscript|>", "<|notimestamps|>")),
    "RobertaTokenizer": _ROBERTA,
    "BartTokenizer": _ROBERTA,
    "LEDTokenizer": _ROBERTA,
    "LongformerTokenizer": _ROBERTA,
    "BlenderbotTokenizer": _ROBERTA._replace(prefix_space=True, strips_mask=True, processor=None),
    "DebertaTokenizer": Class(
        tokens=_all("[CLS]", "bos", "cls")
        | _all("[SEP]", "eos", "sep")
        | {"unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"},
        processor="TemplateProcessing",
    ),
    "GPTNeoXTokenizer": Class((_NFC,), tokens={**_GPT2.tokens, "pad_token": "<|padding|>"}),
    "CohereTokenizer": Class(
        (_NFC,),
        digits=True,
        tokens={
            "bos_token": "<BOS_TOKEN>",
            "eos_token": "<|END_OF_TURN_TOKEN|>",
            "unk_token": "<UNK>",
            "sep_token": "<SEP>",
            "pad_token": "<PAD>",
            "cls_token": "<CLS>",
            "mask_token": "<MASK_TOKEN>",
        },
    ),
    "CLIPTokenizer": Class(
        (
            _NFC,
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ),
        regex=r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
        r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
        only_matches=True,
        suffix="</w>",
        tokens={"bos_token": "<|startoftext|>", **_all(_END, "eos", "unk", "pad")},
        processor="RobertaProcessing",
        around=("bos_token", "eos_token"),
    ),
    "Qwen2Tokenizer": _QWEN,
    "Qwen3_5Tokenizer": _QWEN._replace(regex=_QWEN3_5, drops_flags=False),
}
"""The classes that split into bytes as GPT-2's does, by name without "Fast"."""

_NOT_BYTE_LEVEL = {
    "SentencePiece": "Llama Gemma T5 MT5 XLMRoberta Camembert Albert XLNet MBart MBart50 Nllb "
    "Pegasus BigBird Reformer RemBert DebertaV2 M2M100 Marian Speech2Text CodeLlama Barthez "
    "SeamlessM4T XGLM Siglip Udop",
    "WordPiece": "Bert DistilBert Electra Funnel MPNet MobileBert LayoutLM LayoutLMv2 Lxmert "
    "Splinter SqueezeBert ConvBert Retribert Tapas",
    "BPE over characters with </w>": "Herbert OpenAIGPT FSMT XLM Flaubert Phobert CTRL "
    "BlenderbotSmall",
}
_REASONS = {
    f"{name}Tokenizer": kind for kind, names in _NOT_BYTE_LEVEL.items() for name in names.split()
}

RANK_CLASSES = {
    # Each in the module tokenization_*.py of the model, which normalizes and splits itself.
    "QWenTokenizer": (
        _QWEN2,
        (("NFC",),),
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{n}|>" for n in range(205))),
    ),
    "TikTokenTokenizer": (_KIMI, (), ("<|reserved_token_{id}|>",) * 256),
}
"""Pattern, normalizer, and special tokens after the ranks, of classes that read a list of ranks:
Qwen's first models and Kimi. A special token's text can contain its id."""

_CLASS_OF_MODEL = {
    "GPT2Tokenizer": "gpt2 gpt_neo gptj gpt_bigcode opt phi starcoder2 biogpt",
    "CodeGenTokenizer": "codegen",
    "GPTNeoXTokenizer": "gpt_neox mamba mamba2 mpt olmo olmoe rwkv xlstm gpt_neox_japanese",
    "RobertaTokenizer": "roberta roberta-prelayernorm longformer ibert lilt mega mra data2vec-text",
    "BartTokenizer": "bart",
    "CLIPTokenizer": "clip clipseg groupvit owlv2 owlvit aimv2 oneformer omdet-turbo xclip",
    "LEDTokenizer": "led",
    "BlenderbotTokenizer": "blenderbot",
    "DebertaTokenizer": "deberta",
    "WhisperTokenizer": "whisper",
    "CohereTokenizer": "cohere cohere2",
    "Qwen2Tokenizer": "qwen2 qwen2_moe qwen2_vl qwen2_5_vl qwen2_audio qwen3 qwen3_moe qwen3_next "
    "qwen3_vl",
    "Qwen3_5Tokenizer": "qwen3_5 qwen3_5_moe qwen3_5_text",
}
_MODELS = {model: name for name, models in _CLASS_OF_MODEL.items() for model in models.split()}


def class_name(tokenizer_config: Mapping[str, Any], model_config: Mapping[str, Any]) -> str | None:
    """Return the class that the two files name, without "Fast"; ``None`` if neither does.

    The type of a model in config.json has a class as well.
    """
    for name in (
        tokenizer_config.get("tokenizer_class"),
        model_config.get("tokenizer_class"),
        _MODELS.get(str(model_config.get("model_type"))),
    ):
        if isinstance(name, str):
            return name.removesuffix("Fast")
    return None


def check_byte_level(path: Path, name: str) -> None:
    """Raise FormatError if the class *name* is known to use something else than byte-level BPE."""
    if name in _REASONS:
        raise FormatError(
            f"{path}: tokenizer_class is {name!r}, which is {_REASONS[name]}: pytok reads "
            "byte-level BPE"
        )
