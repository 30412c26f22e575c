"""AlbertConfig: the shape of one network, read from any published JSON, checked, written."""

from __future__ import annotations

import dataclasses
import difflib
import os
from dataclasses import dataclass
from typing import Any

from albert_zh.files import InputError, read_json, write_json

FAMILIES = ("brightmart", "google")
#: More layers are a slip of the pen, or a file made to keep a machine busy.
MAX_LAYERS = 1000
ACTIVATIONS = ("gelu", "gelu_new", "gelu_exact", "relu", "tanh")

#: Keys of published files that change nothing in the network.
_IGNORED_KEYS = frozenset(
    "net_structure_type gap_size num_memory_blocks down_scale_factor layers_to_keep directionality pooler_fc_size "
    "pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type".split()
)
#: One of these is in every ``config.json`` of Hugging Face's; ``model_type`` since transformers 2.4.
_HUGGINGFACE_MARKS = frozenset({"model_type", "output_hidden_states", "torchscript", "pruned_heads"})
_ALIASES = {"num_inner_groups": "inner_group_num"}
_GOOGLE_MARKS = frozenset(
    "num_hidden_groups inner_group_num net_structure_type gap_size num_memory_blocks down_scale_factor".split()
)


@dataclass(frozen=True)
class AlbertConfig:
    """Hyper-parameters of an ALBERT network (https://arxiv.org/abs/1909.11942, table 1).

    Attributes:
        vocab_size: V, rows of the word embedding.
        embedding_size: E, width of the word embedding.
        hidden_size: H, width of the network; a multiple of ``num_attention_heads``.
        num_hidden_layers: layers run one after another.
        num_attention_heads: N, heads of the attention.
        intermediate_size: width of the feed-forward network.
        family: "brightmart" (position, type and LayerNorm at width H) or "google" (at width E).
        num_hidden_groups: sets of weights the layers are spread over; 1 shares one set among all.
        inner_group_num: blocks run in each layer.
        hidden_act: activation; "gelu" is the tanh form (Hugging Face's ``gelu_new``).
        hidden_dropout_prob: share of hidden values dropped in training.
        attention_probs_dropout_prob: share of attention weights dropped in training.
        max_position_embeddings: longest sequence, tokens.
        type_vocab_size: segments.
        initializer_range: standard deviation of the truncated normal initial values.
        layer_norm_eps: added to the variance in LayerNorm.
        ln_type: "postln" (norm after the residual) or "preln" (norm before attention and feed-forward).
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    embedding_size: int = 128
    family: str = "brightmart"
    num_hidden_groups: int = 1
    inner_group_num: int = 1
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    ln_type: str = "postln"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"config: {field.name} is {value!r}, not a whole number of 1 or more. Fix the file.")
            if field.type == "float" and (
                isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1
            ):
                raise InputError(f"config: {field.name} is {value!r}, not a number from 0 to below 1. Fix the file.")
        for name, allowed in (("family", FAMILIES), ("hidden_act", ACTIVATIONS), ("ln_type", ("postln", "preln"))):
            if getattr(self, name) not in allowed:
                raise InputError(f"config: {name} is {getattr(self, name)!r}, not one of {', '.join(allowed)}.")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"config: hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}. Use the JSON that belongs to the checkpoint."
            )
        for name, count in (
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_hidden_groups * inner_group_num", self.num_hidden_groups * self.inner_group_num),
        ):
            if count > MAX_LAYERS:
                raise InputError(f"config: {name} is {count:,}, more than {MAX_LAYERS:,}.")
        used = {self.group_of(layer) for layer in range(self.num_hidden_layers)}
        idle = next((group for group in range(self.num_hidden_groups) if group not in used), None)
        if idle is not None:  # more groups than layers, or, as for 22 of each, rounding in the published rule
            raise InputError(
                f"config: with num_hidden_groups {self.num_hidden_groups} and num_hidden_layers "
                f"{self.num_hidden_layers} no layer would run group {idle}. Choose another number of groups."
            )
        if self.family == "brightmart" and (self.num_hidden_groups, self.inner_group_num) != (1, 1):
            raise InputError(
                "config: the brightmart family shares one layer: num_hidden_groups, inner_group_num are 1."
            )
        if self.family == "google" and self.ln_type != "postln":
            raise InputError("config: the google family is post-LN only: remove ln_type or set it to postln.")

    @property
    def head_size(self) -> int:
        """Width of one attention head, H / N."""
        return self.hidden_size // self.num_attention_heads

    def group_of(self, layer: int) -> int:
        """Which group of weights a layer (from 0) runs, as the published google code spreads them."""
        return int(layer / self.num_hidden_layers * self.num_hidden_groups)

    def replace(self, **changes: Any) -> AlbertConfig:
        """The same config with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> AlbertConfig:
        """A config from the keys of any published JSON.

        The family is ``values["family"]`` if there, else google when a key only google's files have is there.

        Raises:
            InputError: a key is missing, unknown (the nearest name is given) or holds a value out of range.
        """
        if not isinstance(values, dict):
            raise InputError(f"{where}: a JSON {type(values).__name__}, not an object of config keys.")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        of_hugging_face = bool(_HUGGINGFACE_MARKS & set(values))
        known: dict[str, Any] = {}
        for key, value in values.items():
            name = _ALIASES.get(key, key)
            if name in fields:
                known[name] = value
            elif key not in _IGNORED_KEYS and not of_hugging_face:  # whose versions keep adding keys of no effect
                near = difflib.get_close_matches(key, list(fields), n=1)
                hint = f" Did you mean {near[0]!r}?" if near else " Remove it."
                raise InputError(f"{where}: unknown key {key!r}.{hint}")
        missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in known]
        if missing:
            raise InputError(f"{where}: missing key {', '.join(map(repr, missing))}. Use the JSON of the checkpoint.")
        known["family"] = cls.stated_family(values) or "brightmart"
        positions = values.get("position_embedding_type", "absolute")
        if of_hugging_face and positions != "absolute":
            raise InputError(
                f"{where}: position_embedding_type is {positions!r}, and this project's networks know absolute "
                "positions alone. Use a model with these."
            )
        if of_hugging_face:  # Hugging Face's plain "gelu" is the error-function form
            named = known.get("hidden_act")
            known["hidden_act"] = "gelu_exact" if named == "gelu" else "gelu" if named in (None, "gelu_new") else named
        try:
            return cls(**known)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    @staticmethod
    def stated_family(values: dict[str, Any]) -> str | None:
        """The family that a published JSON names, or marks by a key that only google's have; None: it tells none."""
        marked = _GOOGLE_MARKS & set(values) or _HUGGINGFACE_MARKS & set(values)
        return values.get("family", "google" if marked else None)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> AlbertConfig:
        """The config in a JSON file. Raises InputError naming the file."""
        return cls.from_dict(read_json(path), where=os.fspath(path))

    def to_dict(self) -> dict[str, Any]:
        """All fields, under the names of the JSON file."""
        return dataclasses.asdict(self)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Writes the config atomically."""
        write_json(path, self.to_dict())
