"""A model of one family as a model of the other, where both compute the same."""

from __future__ import annotations

import keras
import numpy as np

from albert_zh.config import AlbertConfig
from albert_zh.convert.weights import (
    BLOCK,
    PROJECTION_BRIGHTMART,
    PROJECTION_GOOGLE,
    WORD,
    arrays_of,
    block_scope,
    from_tf1,
    variable_names,
)
from albert_zh.files import InputError


def refusal(config: AlbertConfig, family: str) -> str | None:
    """Why a model of this config has no equal in the family; None when it may have one."""
    if config.family == family:
        return None
    if config.ln_type == "preln":
        return "it normalises before attention and feed-forward (ln_type preln), google's network only after"
    if family == "brightmart" and (config.num_hidden_groups, config.inner_group_num) != (1, 1):
        return "brightmart's network shares one block among all layers"
    if family == "brightmart" and config.embedding_size != config.hidden_size:
        return (
            "google's network adds and normalises the embeddings at width E and projects them after, with a bias; "
            "brightmart's projects first"
        )
    return None


def as_family(model: keras.Model, family: str) -> keras.Model:
    """The model itself if it is of the family, else a new one that computes the same.

    brightmart's embeddings, of which only the words are of width E, become google's with E = H: the word embedding
    multiplied out (in float64, rounded once), and a projection that is the identity. The masked-LM head, which goes
    back through both matrices, then matches too. The way back exists only for such a model.

    Args:
        model: of this package.
        family: "brightmart" or "google".

    Raises:
        InputError: there is no equal model in that family; says why.
    """
    config = model.config
    if config.family == family:
        return model
    reason = refusal(config, family)
    arrays = arrays_of(model)
    if not reason and family == "brightmart":
        kernel, bias = arrays[f"{PROJECTION_GOOGLE}/kernel"], arrays[f"{PROJECTION_GOOGLE}/bias"]
        if bias.any() or not np.array_equal(kernel, np.eye(len(kernel))):
            reason = "its projection of the embeddings is not the identity, and brightmart's comes before the norm"
    if reason:
        raise InputError(f"a {config.family} model cannot be written as one of the {family} family: {reason}.")
    width = config.hidden_size
    if family == "google":
        word, projection = arrays.pop(WORD), arrays.pop(PROJECTION_BRIGHTMART)
        arrays[WORD] = (word.astype(np.float64) @ projection.astype(np.float64)).astype(np.float32)
        arrays[f"{PROJECTION_GOOGLE}/kernel"] = np.eye(width, dtype=np.float32)
        arrays[f"{PROJECTION_GOOGLE}/bias"] = np.zeros(width, np.float32)
    else:
        del arrays[f"{PROJECTION_GOOGLE}/kernel"], arrays[f"{PROJECTION_GOOGLE}/bias"]
        arrays[PROJECTION_BRIGHTMART] = np.eye(width, dtype=np.float32)
    arrays = {rename(name, family): array for name, array in arrays.items()}
    changed = type(model).from_config(
        {**model.get_config(), "config": config.replace(family=family, embedding_size=width).to_dict()}
    )
    for name, variable in variable_names(changed).items():
        variable.assign(from_tf1(name, arrays.pop(name)))
    return changed


def rename(name: str, family: str) -> str:
    """The TF1 name, in the family, of a block's array of the other one; any other name as it is."""
    other = "google" if family == "brightmart" else "brightmart"
    mine, theirs = block_scope(family, 0, 0), block_scope(other, 0, 0)
    for _, brightmart, google in BLOCK:
        to, of = (brightmart, google) if family == "brightmart" else (google, brightmart)
        if name.startswith(f"{theirs}/{of}/"):
            return name.replace(f"{theirs}/{of}/", f"{mine}/{to}/")
    return name
