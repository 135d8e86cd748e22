"""Networks as ONNX graphs, written operator by operator from a model's config; needs no torch.

`GRAPHS` says which graphs a kind of model has; :func:`export_model` writes them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
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
)
from bandtok.export.codec_graphs import decoder_graph, encoder_graph, vocoder_graph
from bandtok.export.graph import Graph
from bandtok.export.lm_graphs import beat_graph, condition_graph, step_graph, tempo_graph
from bandtok.export.text_graphs import bert_graph, codes_graph, match_text_graph
from bandtok.lm.text_encoder import VOCABULARY_FILE, read_text_encoder
from bandtok.model_specs import SPECS
from bandtok.tokens.atomic import write_bytes

BuildGraph = Callable[[Any, Mapping[str, tuple[int, ...]]], Graph]
"""Builds a graph from a model's config and the shapes of its weights."""

GRAPHS: dict[str, dict[str, BuildGraph]] = {
    "tokenizer": {ENCODER_GRAPH: encoder_graph, DECODER_GRAPH: decoder_graph},
    "residual": {ENCODER_GRAPH: encoder_graph, DECODER_GRAPH: decoder_graph},
    "vocoder": {VOCODER_GRAPH: vocoder_graph},
    "lm": {STEP_GRAPH: step_graph, CONDITION_GRAPH: condition_graph},
    "reranker": {CODES_GRAPH: codes_graph, TEXT_GRAPH: match_text_graph},
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


def export_model(name: str | os.PathLike[str] | None, output: Path | None = None) -> list[Path]:
    """Write the graphs of all networks that a model consists of.

    Args:
        name: as for `bandtok.checkpoint.find_model_folder`.
        output: folder for graphs and copies of config, weights and card; None writes the graphs
            beside the weights.

    Returns:
        The graph files.

    Raises:
        CheckpointError: if there is no such model, or it is damaged.
    """
    written = []
    for kind, folder in find_model_folders(name).items():
        target = folder
        if output is not None:
            target = output / kind
            target.mkdir(parents=True, exist_ok=True)
            for file in (CARD_FILE, WEIGHTS_FILE, VOCABULARY_FILE, CONFIG_FILE):
                if (folder / file).is_file():
                    shutil.copyfile(folder / file, target / file)
        if kind not in _SPECS:
            written.append(export_text_encoder(target))
            continue
        _, config = read_config(_SPECS[kind], folder)
        graphs = GRAPHS[kind] | (
            _BEAT_GRAPHS if getattr(config, "beat_conditioning", False) else {}
        )
        shapes = read_shapes(folder)
        for file, build in graphs.items():
            graph = build(config, shapes)
            write_bytes(target / file, graph.serialized(config.to_dict()))
            written.append(target / file)
    return written
