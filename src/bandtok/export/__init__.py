"""Networks as ONNX graphs, written operator by operator from a model's config; needs no torch.

`GRAPHS` says which graphs a kind of model has; :func:`export_model` writes them,
:func:`join_models` those of a model that is put together from several.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bandtok.backends.graphs import (
    BEAT_GRAPH,
    CODES_GRAPH,
    CONDITION_GRAPH,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    STEP_GRAPH,
    TEMPO_GRAPH,
    TEXT_GRAPH,
    VOCODER_GRAPH,
)
from bandtok.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    find_model_folders,
    read_config,
    read_shapes,
    read_weights,
)
from bandtok.errors import CheckpointError
from bandtok.export.codec_graphs import decoder_graph, encoder_graph, vocoder_graph
from bandtok.export.graph import Graph
from bandtok.export.lm_graphs import beat_graph, condition_graph, step_graph, tempo_graph
from bandtok.export.text_graphs import bert_graph, codes_graph, match_text_graph
from bandtok.lm.text_encoder import VOCABULARY_FILE, read_text_encoder
from bandtok.model_specs import (
    HARMONY_SPEC,
    LM_SPEC,
    RERANKER_SPEC,
    RESIDUAL_SPEC,
    SPECS,
    TOKENIZER_SPEC,
)
from bandtok.tokenizer.fingerprint import code_fingerprint
from bandtok.tokens.atomic import write_bytes

BuildGraph = Callable[[Any, Mapping[str, tuple[int, ...]]], Graph]
"""Builds a graph from a model's config and the shapes of its weights."""

GRAPHS: dict[str, dict[str, BuildGraph]] = {
    "tokenizer": {ENCODER_GRAPH: encoder_graph, DECODER_GRAPH: decoder_graph},
    "residual": {ENCODER_GRAPH: encoder_graph, DECODER_GRAPH: decoder_graph},
    "vocoder": {VOCODER_GRAPH: vocoder_graph},
    "lm": {STEP_GRAPH: step_graph, CONDITION_GRAPH: condition_graph},
    "reranker": {CODES_GRAPH: codes_graph, TEXT_GRAPH: match_text_graph},
    "harmony": {},
}
"""Graph files by name of the model's `ModelSpec`."""
_BEAT_GRAPHS: dict[str, BuildGraph] = {TEMPO_GRAPH: tempo_graph, BEAT_GRAPH: beat_graph}
_SPECS = {spec.name: spec for spec in SPECS}


def export_text_encoder(folder: Path) -> Path:
    """Write the graph of a text encoder beside its weights; raises as `read_text_encoder` does."""
    config, weights, _ = read_text_encoder(folder)
    graph = bert_graph(config, {name: array.shape for name, array in weights.items()})
    write_bytes(folder / TEXT_GRAPH, graph.serialized(asdict(config)))
    return folder / TEXT_GRAPH


def export_model(name: str | os.PathLike[str] | None) -> list[Path]:
    """Write the graphs of all networks that a model consists of, beside their weights.

    Args:
        name: as for `bandtok.checkpoint.find_model_folder`.

    Returns:
        The graph files.

    Raises:
        CheckpointError: if there is no such model, or it is damaged.
    """
    folders = find_model_folders(name)
    return [file for kind, folder in folders.items() for file in _export(kind, folder)]


def join_models(names: Sequence[str | os.PathLike[str] | None], output: Path) -> list[Path]:
    """Copy the networks of models and runs into one model folder, and write their graphs there.

    Args:
        names: as for `bandtok.checkpoint.find_model_folder`, or "bundled". Each network is taken
            from the last that has it.
        output: the model folder, made if need be: a folder per network.

    Returns:
        The graph files.

    Raises:
        CheckpointError: if a model is missing or damaged, or a language model or reranker does not
            know the codes of the tokenizer.
    """
    chosen: dict[str, tuple[str, Path]] = {}
    for name in names:
        folders = find_model_folders(None if name == "bundled" else name)
        for kind, folder in folders.items():
            other = kind == RESIDUAL_SPEC.name and TOKENIZER_SPEC.name not in folders
            chosen[TOKENIZER_SPEC.name if other else kind] = kind, folder
    _check_codes(chosen)
    written = []
    for place, (kind, folder) in chosen.items():
        target = output / place
        target.mkdir(parents=True, exist_ok=True)
        for file in (CARD_FILE, WEIGHTS_FILE, VOCABULARY_FILE, CONFIG_FILE):
            if (folder / file).is_file() and folder.resolve() != target.resolve():
                shutil.copyfile(folder / file, target / file)
        written += _export(kind, target)
    return written


def _check_codes(chosen: Mapping[str, tuple[str, Path]]) -> None:
    if TOKENIZER_SPEC.name not in chosen:
        return
    kind, folder = chosen[TOKENIZER_SPEC.name]
    _, config = read_config(_SPECS[kind], folder)
    fingerprint = code_fingerprint(config, read_weights(folder, "encoder.", "quantizer."))
    for place, (kind, other) in chosen.items():
        if kind not in (LM_SPEC.name, RERANKER_SPEC.name, HARMONY_SPEC.name):
            continue
        wanted = getattr(read_config(_SPECS[kind], other)[1], "tokenizer_fingerprint", "")
        if wanted and wanted != fingerprint:
            raise CheckpointError(
                f"the {place} in {other} was trained on codes of tokenizer {wanted[:12]}, not on "
                f"those of {folder} ({fingerprint[:12]}); leave one of them out"
            )


def _export(kind: str, folder: Path) -> list[Path]:
    """Write the graphs of one network beside its weights."""
    if kind not in _SPECS:
        return [export_text_encoder(folder)]
    _, config = read_config(_SPECS[kind], folder)
    graphs = GRAPHS[kind] | (_BEAT_GRAPHS if getattr(config, "beat_conditioning", False) else {})
    shapes = read_shapes(folder)
    for file, build in graphs.items():
        write_bytes(folder / file, build(config, shapes).serialized(config.to_dict()))
    return [folder / file for file in graphs]
