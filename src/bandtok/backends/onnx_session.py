"""Sessions of onnxruntime whose weights come from a model's safetensors file.

A graph file holds operators only; every weight is an external initializer named by its key in the
state dict, and the graph's metadata names the config that it was exported from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bandtok.errors import CheckpointError, ConfigError
from bandtok.lm.text_embeddings import TextEmbeddings

GRAPH_CONFIG = "config"
"""Key of a graph's metadata: the model's config, as JSON."""
_ERRORS_ONLY = 3
onnxruntime.set_default_logger_severity(_ERRORS_ONLY)  # it warns of graphics cards it cannot find


def open_session(
    path: Path,
    weights: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
    threads: int | None = None,
) -> onnxruntime.InferenceSession:
    """Load a graph with its weights.

    Args:
        path: the .onnx file.
        weights: every external initializer of the graph, and nothing else.
        config: of the model, to compare with the one that the graph was exported from.
        threads: to compute with; None for `default_threads()`.

    Raises:
        CheckpointError: if graph, weights and config do not belong together.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Threads that spin between calls slow down whatever shares the processor.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own errors have no common base
        reason = str(error).strip().splitlines()[0][:200]
        raise CheckpointError(
            f"{path} does not fit its weights: {reason}; run `bandtok export` on its folder"
        ) from None
    exported = session.get_modelmeta().custom_metadata_map.get(GRAPH_CONFIG, "")
    if exported != json.dumps(config, sort_keys=True):
        raise CheckpointError(
            f"{path} was exported from another config; run `bandtok export` on its folder"
        )
    return session


def run_on_text(
    session: onnxruntime.InferenceSession, text: TextEmbeddings, dim: int
) -> np.ndarray:
    """Return the output of a graph whose inputs are states and mask of texts.

    Raises:
        ConfigError: if the states are not `dim` wide.
    """
    if text.states.shape[2] != dim:
        raise ConfigError(f"got text states {text.states.shape}; expected [rows, length, {dim}]")
    found: np.ndarray = session.run(None, {"states": text.states, "mask": text.mask})[0]
    return found


def default_threads() -> int:
    """Return OMP_NUM_THREADS, or the number of processors that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
