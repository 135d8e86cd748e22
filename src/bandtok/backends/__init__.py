"""The back ends: onnxruntime on the CPU, or torch. Both supply networks and nothing else.

A back end is chosen per model: `onnx` where its folder holds graphs (`bandtok export` writes them),
else `torch`. Neither library is imported before it is chosen.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bandtok.backends.graphs import (
    CODES_GRAPH,
    CONDITION_GRAPH,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    STEP_GRAPH,
    TEXT_GRAPH,
    VOCODER_GRAPH,
)
from bandtok.backends.networks import CodecNetwork, VocoderNetwork
from bandtok.checkpoint import (
    WEIGHTS_FILE,
    check_shapes,
    find_model_folder,
    read_config,
    read_weights,
)
from bandtok.errors import CheckpointError, ConfigError, MissingDependency
from bandtok.lm.harmony import HarmonyClassifier
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.text_embeddings import HashTextEncoder, TextEncoder
from bandtok.lm.text_encoder import (
    BUNDLED_TEXT_ENCODER,
    BertNetwork,
    BertTextEncoder,
    read_text_encoder,
)
from bandtok.model_specs import HARMONY_SPEC, LM_SPEC, RERANKER_SPEC, TOKENIZER_SPEC, VOCODER_SPEC

BackendName = Literal["auto", "onnx", "torch"]
DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and by what networks are computed; made by `choose_runtime`.

    Attributes:
        device: "cpu", "cuda" or "mps".
        backend: "auto" decides per model, see `backend_for`.
        threads: of one operator on the CPU; None for as many as there are processors.
    """

    device: str = "cpu"
    backend: BackendName = "auto"
    threads: int | None = None


def choose_runtime(
    device: str = "auto", backend: str = "auto", threads: int | None = None
) -> Runtime:
    """Check names and resolve the device "auto": CUDA where torch has it, else the CPU.

    Raises:
        ConfigError: if a name is unknown, there is no such device here, or the two do not go
            together.
        MissingDependency: if torch is wanted and not installed.
    """
    if backend not in get_args(BackendName):
        expected = ", ".join(get_args(BackendName))
        raise ConfigError(f"got backend {backend!r}; expected one of {expected}")
    if threads is not None and threads < 1:
        raise ConfigError(f"got threads {threads}; expected 1 or more")
    if device == "auto" and (backend == "onnx" or not _may_have_cuda()):
        device = "cpu"
    if device == "cpu":
        pass
    elif device != "auto" and device not in DEVICES:
        raise ConfigError(f"got device {device!r}; expected one of auto, {', '.join(DEVICES)}")
    elif backend == "onnx":
        raise ConfigError(f"got device {device!r} with backend 'onnx'; expected 'cpu' or 'auto'")
    else:
        require_torch(f"device {device!r}")
        from bandtok.device import choose_device

        device = choose_device(device)
    if device != "cpu" or backend == "torch":
        require_torch(f"backend {backend!r}" if device == "cpu" else f"device {device!r}")
        backend = "torch"
    return Runtime(device=device, backend=backend, threads=threads)  # type: ignore[arg-type]


def backend_for(folder: Path, graphs: Sequence[str], runtime: Runtime) -> Literal["onnx", "torch"]:
    """Return the back end for the model in a folder.

    Args:
        folder: of the model.
        graphs: names of the files that the onnx back end needs beside the weights.
        runtime: what the user wants.

    Raises:
        CheckpointError: if there are no graphs, and torch is not wanted or not installed.
    """
    missing = [name for name in graphs if not (folder / name).is_file()]
    if runtime.backend == "torch":
        return _torch(runtime)
    if not missing:
        return "onnx"
    if runtime.backend == "auto" and has_torch():
        return _torch(runtime)
    raise CheckpointError(
        f"{folder} holds no {missing[0]}; write it with `bandtok export {folder}`, or "
        "run: pip install 'bandtok[torch]'"
    )


def load_codec_network(name: str | os.PathLike[str] | None, runtime: Runtime) -> CodecNetwork:
    """Load a tokenizer network by name (see `bandtok.checkpoint.find_model_folder`).

    Raises:
        CheckpointError: if it cannot be found, is damaged, or does not fit.
    """
    folder = find_model_folder(TOKENIZER_SPEC.name, name)
    if backend_for(folder, (ENCODER_GRAPH, DECODER_GRAPH), runtime) == "onnx":
        from bandtok.backends.onnx_codec import OnnxCodec

        return OnnxCodec(folder, runtime.threads)
    from bandtok.backends.torch_codec import TorchCodec
    from bandtok.torch_checkpoint import load_network

    return TorchCodec(load_network(TOKENIZER_SPEC, folder, runtime.device), runtime.device)


def load_vocoder_network(name: str | os.PathLike[str] | None, runtime: Runtime) -> VocoderNetwork:
    """Load a vocoder network by name, like `load_codec_network`."""
    folder = find_model_folder(VOCODER_SPEC.name, name)
    if backend_for(folder, (VOCODER_GRAPH,), runtime) == "onnx":
        from bandtok.backends.onnx_codec import OnnxVocoder

        return OnnxVocoder(folder, runtime.threads)
    from bandtok.backends.torch_codec import ExternalVocoder
    from bandtok.torch_checkpoint import load_network

    network = load_network(VOCODER_SPEC, folder)
    return ExternalVocoder(network, network.reach).to(runtime.device)


def load_language_model(name: str | os.PathLike[str] | None, runtime: Runtime) -> LanguageModel:
    """Load a language model by name, like `load_codec_network`."""
    folder = find_model_folder(LM_SPEC.name, name)
    if backend_for(folder, (STEP_GRAPH, CONDITION_GRAPH), runtime) == "onnx":
        from bandtok.backends.onnx_lm import OnnxLanguageModel

        return OnnxLanguageModel(folder, runtime.threads)
    from bandtok.backends.torch_lm import TorchLanguageModel
    from bandtok.torch_checkpoint import load_network

    return TorchLanguageModel(load_network(LM_SPEC, folder, runtime.device))


def load_reranker(name: str | os.PathLike[str] | None, runtime: Runtime) -> RerankerNetwork:
    """Load a reranker by name, like `load_codec_network`."""
    folder = find_model_folder(RERANKER_SPEC.name, name)
    if backend_for(folder, (CODES_GRAPH, TEXT_GRAPH), runtime) == "onnx":
        from bandtok.backends.onnx_text import OnnxReranker

        return OnnxReranker(folder, runtime.threads)
    from bandtok.backends.torch_lm import TorchReranker
    from bandtok.torch_checkpoint import load_network

    return TorchReranker(load_network(RERANKER_SPEC, folder, runtime.device))


def load_harmony(name: str | os.PathLike[str] | None) -> HarmonyClassifier:
    """Load a harmony classifier by name, like `load_codec_network`; it needs no back end."""
    folder = find_model_folder(HARMONY_SPEC.name, name)
    _, config = read_config(HARMONY_SPEC, folder)
    weights = read_weights(folder)
    shapes = {name: array.shape for name, array in weights.items()}
    check_shapes(config.arrays(), shapes, str(folder / WEIGHTS_FILE))
    return HarmonyClassifier(config, weights)


def load_text_encoder(name: str, runtime: Runtime | None = None) -> TextEncoder:
    """Load a text encoder by name.

    Args:
        name: "minilm" (the bundled weights), "hash:DIM" (toy), or "hub:NAME_OR_PATH" for any
            encoder that transformers can load.
        runtime: where it is computed and by what; None is the CPU.

    Raises:
        ConfigError: if the name is none of these.
        MissingDependency: if "hub:" is requested and transformers is not installed.
        CheckpointError: if the bundled weights are missing or damaged.
    """
    runtime = runtime or Runtime()
    kind, _, rest = name.partition(":")
    if kind == "hash" and rest.isdecimal():
        return HashTextEncoder(int(rest))
    if name == "minilm":
        return load_bert_text_encoder(BUNDLED_TEXT_ENCODER, runtime)
    if kind == "hub" and rest:
        require_torch(f"text encoder {name!r}")
        from bandtok.lm.pretrained_text import PretrainedTextEncoder

        return PretrainedTextEncoder(rest, runtime.device)
    raise ConfigError(
        f"got text encoder {name!r}; expected 'minilm', 'hash:DIM' or 'hub:NAME_OR_PATH'"
    )


def load_bert_text_encoder(folder: Path, runtime: Runtime) -> BertTextEncoder:
    """Load a text encoder from a folder; raises as `read_text_encoder` does."""
    config, weights, tokenizer = read_text_encoder(folder)
    if backend_for(folder, (TEXT_GRAPH,), runtime) == "onnx":
        from bandtok.backends.onnx_text import OnnxBert

        network: BertNetwork = OnnxBert(folder, config, weights, runtime.threads)
    else:
        from bandtok.backends.torch_lm import TorchBert
        from bandtok.lm.bert import load_bert

        network = TorchBert(load_bert(folder, config, weights), runtime.device)
    return BertTextEncoder(network, config.hidden_size, tokenizer)


def has_torch() -> bool:
    """Say whether torch is installed, without importing it."""
    return "torch" in sys.modules or importlib.util.find_spec("torch") is not None


def require_torch(what: str) -> None:
    """Raise MissingDependency if torch is not installed."""
    if not has_torch():
        raise MissingDependency(f"{what} needs torch; run: pip install 'bandtok[torch]'")


def _torch(runtime: Runtime) -> Literal["torch"]:
    """Set the number of threads of torch, which is one for the process."""
    if runtime.threads:
        from bandtok.device import use_threads

        use_threads(runtime.threads)
    return "torch"


def _may_have_cuda() -> bool:
    """Say whether importing torch to ask for CUDA is worth its time: is there a driver?"""
    if not has_torch():
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True
