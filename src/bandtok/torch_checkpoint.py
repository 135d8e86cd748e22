"""Model folders and torch networks: saving, loading, and building by config.

:mod:`bandtok.checkpoint` finds the folders and reads their configs.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from bandtok.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    FORMAT_VERSION,
    WEIGHTS_FILE,
    ModelSpec,
    check_shapes,
    find_model_folder,
    read_config,
    read_shapes,
)
from bandtok.errors import ConfigError
from bandtok.lm.harmony_network import HarmonyNetwork
from bandtok.lm.model import MusicLM
from bandtok.lm.reranker import Reranker
from bandtok.model_specs import RESIDUAL_SPEC, SPECS, TOKENIZER_SPEC
from bandtok.tokenizer.fingerprint import code_fingerprint
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.tokenizer.model import TokenizerNetwork
from bandtok.tokenizer.residual_model import ResidualNetwork
from bandtok.tokens.atomic import write_bytes
from bandtok.vocoder.model import Vocoder

NETWORKS: dict[str, type[Any]] = {
    "tokenizer": TokenizerNetwork,
    "residual": ResidualNetwork,
    "vocoder": Vocoder,
    "lm": MusicLM,
    "reranker": Reranker,
    "harmony": HarmonyNetwork,
}
"""Class of each kind of network, by the name of its `ModelSpec`."""


def save_network(network: nn.Module, folder: Path, kind: str, card: str | None = None) -> None:
    """Write config.json and float16 model.safetensors (and README.md), each atomically.

    Weights go first and the config last, so that a folder with a config is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach()
        .to("cpu", torch.float16 if tensor.is_floating_point() else None)
        .contiguous()
        for name, tensor in network.state_dict().items()
    }
    config = {"format_version": FORMAT_VERSION, "kind": kind, "config": network.config.to_dict()}  # type: ignore[union-attr, operator]
    if card is not None:
        write_bytes(folder / CARD_FILE, card.encode())
    write_bytes(folder / WEIGHTS_FILE, save(tensors, metadata={"format": "pt", "kind": kind}))
    write_bytes(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())


def load_network(kind: ModelSpec, name: str | os.PathLike[str] | None, device: str = "cpu") -> Any:
    """Load a network by name, in evaluation mode and float32.

    Args:
        kind: what to load.
        name: as for `bandtok.checkpoint.find_model_folder`.
        device: torch device.

    Raises:
        CheckpointError: if it cannot be found, is of another kind, is damaged, or does not fit.
    """
    network = _read_network(kind, find_model_folder(kind.name, name))
    network.eval().requires_grad_(False)
    return network.to(device)


def debug_network(kind: ModelSpec) -> nn.Module:
    """Build the tiny network that "debug" names, from a fixed seed, in float32.

    Leaves the global seed as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        result: nn.Module = NETWORKS[kind.name](kind.debug)
        return result


def _read_network(kind: ModelSpec, folder: Path) -> nn.Module:
    kind, config = read_config(kind, folder)
    with torch.device("meta"):  # shapes without memory, until the weights agree with them
        outline = NETWORKS[kind.name](config)
    path = folder / WEIGHTS_FILE
    check_shapes(outline.state_dict(), read_shapes(folder), str(path))
    with torch.random.fork_rng(devices=[]):  # leaves the global seed as it was
        network = NETWORKS[kind.name](config)
    network.load_state_dict(load_file(path))
    result: nn.Module = network
    return result


def tokenizer_network(config: MelImageConfig) -> MelTokenizer:
    """Build the tokenizer network that a config describes, with random weights."""
    kind = next(s for s in (TOKENIZER_SPEC, RESIDUAL_SPEC) if isinstance(config, s.config))
    network: MelTokenizer = NETWORKS[kind.name](config)
    return network


def grow_decoder(
    network: MelTokenizer, *, fine_blocks: int | None = None, noise_channels: int | None = None
) -> MelTokenizer:
    """Return the tokenizer with parts added to its decoder that have no effect until trained.

    Encoder, codebook and so the codes are the same.

    Args:
        network: tokenizer; returned as it is if nothing is to be added.
        fine_blocks: `decoder_fine_blocks` of the result; None for those of `network`.
        noise_channels: `decoder_noise_channels` of the result; None for those of `network`.

    Raises:
        ConfigError: if the decoder has such a part of another size already.
    """
    sizes = {"decoder_fine_blocks": fine_blocks, "decoder_noise_channels": noise_channels}
    wanted: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    for name, size in wanted.items():
        current = getattr(network.config, name)
        if current not in (0, size):
            raise ConfigError(
                f"got {name} {size}, but the tokenizer has {current} already; "
                f"expected {current}, or none to leave it as it is"
            )
    config = replace(network.config, **wanted)
    if config == network.config:
        return network
    grown = tokenizer_network(config)
    weights = network.state_dict()
    grown.load_state_dict(grown.untrained_decoder_parts(weights) | weights)
    return grown


def spec_for(network: nn.Module) -> ModelSpec:
    """Return the kind that a network is of."""
    return next(spec for spec in SPECS if isinstance(network, NETWORKS[spec.name]))


def network_fingerprint(network: MelTokenizer) -> str:
    """Return a hash over all that gives a code its meaning; see `code_fingerprint`."""
    weights = {key: tensor.detach().cpu().numpy() for key, tensor in network.state_dict().items()}
    return code_fingerprint(network.config, weights)
