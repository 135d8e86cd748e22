"""The two back ends: which is chosen, that they agree, and that one of them needs no torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bandtok
from bandtok import backends
from bandtok.backends import Runtime, backend_for, choose_runtime
from bandtok.backends.graphs import DECODER_GRAPH, ENCODER_GRAPH, VOCODER_GRAPH
from bandtok.backends.onnx_codec import OnnxCodec, OnnxVocoder
from bandtok.backends.onnx_session import default_threads
from bandtok.backends.torch_codec import ExternalVocoder, TorchCodec
from bandtok.checkpoint import BUNDLED
from bandtok.errors import CheckpointError, ConfigError, MissingDependency
from bandtok.golden import snr_db
from bandtok.model_specs import RESIDUAL_SPEC, TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.torch_checkpoint import load_network

EXCERPT = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"
FOLDERS = [BUNDLED / "tokenizer", BUNDLED / "debug" / "tokenizer", BUNDLED / "debug" / "residual"]


def random_mel(config: object, frames: int) -> np.ndarray:
    n_mels = config.mel.n_mels  # type: ignore[attr-defined]
    noise = np.random.default_rng(0).normal(0, 0.3, (n_mels, frames))
    return (np.cumsum(noise, axis=1) * 0.3 - 5).astype(np.float32)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: "/".join(folder.parts[-2:]))
def test_the_tokenizer_is_the_same_in_both(folder: Path) -> None:
    spec = RESIDUAL_SPEC if folder.name == "residual" else TOKENIZER_SPEC
    first, second = OnnxCodec(folder), TorchCodec(load_network(spec, folder))
    assert first.fingerprint == second.fingerprint
    config = first.config
    mel = random_mel(config, 24 * config.reduction)
    codes = first.encode_mel(mel)
    assert (codes.shape, codes.dtype) == ((config.num_bands, 24), np.int64)
    assert (codes == second.encode_mel(mel)).mean() >= 0.999
    for first_frame in (0, -5, 7, 130):
        decoded = first.decode_codes(codes, first_frame)
        assert decoded.shape == mel.shape
        np.testing.assert_allclose(decoded, second.decode_codes(codes, first_frame), atol=1e-3)


@pytest.mark.parametrize("folder", [BUNDLED / "vocoder", BUNDLED / "debug" / "vocoder"])
def test_the_vocoder_is_the_same_in_both(folder: Path) -> None:
    network = load_network(VOCODER_SPEC, folder)
    first, second = OnnxVocoder(folder), ExternalVocoder(network, network.reach)
    assert first.reach == second.reach
    mel = random_mel(first.config, 120)
    expected, found = second.decode_mel(mel), first.decode_mel(mel)
    assert found.shape == (120 * first.config.mel.hop_length,)
    assert found.dtype == np.float32
    noise = np.square(found - expected).sum()
    assert 10 * np.log10(np.square(expected).sum() / noise) > 60


@pytest.mark.slow
@pytest.mark.parametrize("stereo", [False, True])
def test_real_music_is_the_same_in_both(stereo: bool) -> None:
    first, second = (
        bandtok.Tokenizer.from_pretrained(device="cpu", backend=name) for name in ("onnx", "torch")
    )
    grid, other = (tokenizer.encode(EXCERPT, stereo=stereo) for tokenizer in (first, second))
    assert (grid.codes == other.codes).mean() >= 0.999
    assert snr_db(second.decode(grid), first.decode(grid)) > 60


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_one_thread_and_two_give_the_same_codes(backend: str) -> None:
    one, two = (
        bandtok.Tokenizer.from_pretrained("debug", backend=backend, threads=threads)
        for threads in (1, 2)
    )
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 200_000)).astype(np.float32)
    audio = bandtok.Audio(noise, 44_100)
    grid = one.encode(audio, stereo=True)
    assert np.array_equal(grid.codes, two.encode(audio, stereo=True).codes)
    if backend == "onnx":
        assert np.array_equal(one.decode(grid).waveform, two.decode(grid).waveform)


def test_encoding_and_decoding_import_no_torch() -> None:
    program = (
        "import sys, numpy, bandtok; t = bandtok.Tokenizer.from_pretrained('debug');"
        "audio = bandtok.Audio(numpy.zeros((2, 9000)), 44100);"
        "print(t.decode(t.encode(audio, stereo=True)).waveform.shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("(2, 9000) False\n", 0), done.stderr


def test_the_runtime_is_checked() -> None:
    assert choose_runtime("cpu") == Runtime()
    assert choose_runtime("cpu", "torch", 3) == Runtime(backend="torch", threads=3)
    assert choose_runtime(backend="onnx") == Runtime(backend="onnx")
    with pytest.raises(ConfigError, match="got backend 'tensorflow'; expected one of auto, onnx"):
        choose_runtime(backend="tensorflow")
    with pytest.raises(ConfigError, match="got threads 0"):
        choose_runtime(threads=0)
    with pytest.raises(ConfigError, match="got device 'gpu'; expected one of auto, cpu"):
        choose_runtime("gpu")
    with pytest.raises(ConfigError, match="with backend 'onnx'; expected 'cpu'"):
        choose_runtime("cuda", "onnx")


def test_without_torch_an_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "has_torch", lambda: False)
    assert choose_runtime() == Runtime()
    for arguments in (("cpu", "torch"), ("cuda", "auto")):
        with pytest.raises(MissingDependency, match=r"needs torch; run: pip install 'bandtok\["):
            choose_runtime(*arguments)
    with pytest.raises(CheckpointError, match=r"holds no encoder\.onnx; write it with `bandtok ex"):
        backend_for(tmp_path, [ENCODER_GRAPH], Runtime())


def test_a_folder_without_graphs_is_computed_by_torch_unless_onnx_is_asked_for(
    tmp_path: Path,
) -> None:
    assert backend_for(tmp_path, [ENCODER_GRAPH], Runtime()) == "torch"
    (tmp_path / ENCODER_GRAPH).touch()
    assert backend_for(tmp_path, [ENCODER_GRAPH], Runtime()) == "onnx"
    assert backend_for(tmp_path, [ENCODER_GRAPH], Runtime(backend="torch")) == "torch"
    with pytest.raises(CheckpointError, match=r"holds no decoder\.onnx"):
        backend_for(tmp_path, [ENCODER_GRAPH, DECODER_GRAPH], Runtime(backend="onnx"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED / "debug" / "vocoder", tmp_path / "vocoder"))


def test_a_graph_of_another_config_is_refused(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    content["config"]["num_corrections"] = 5
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="exported from another config; run `bandtok export`"):
        OnnxVocoder(folder)


def test_a_damaged_graph_and_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    tensors = bandtok.checkpoint.read_weights(folder)
    graph = (folder / VOCODER_GRAPH).read_bytes()
    (folder / VOCODER_GRAPH).write_bytes(graph[: len(graph) // 2])
    with pytest.raises(CheckpointError, match="does not fit its weights"):
        OnnxVocoder(folder)
    (folder / VOCODER_GRAPH).write_bytes(graph)
    from safetensors.numpy import save_file  # noqa: PLC0415

    save_file(
        tensors | {"norm_in.bias": tensors["norm_in.bias"][:-1]}, folder / "model.safetensors"
    )
    with pytest.raises(CheckpointError, match="does not fit its weights"):
        OnnxVocoder(folder)
    del tensors["norm_in.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="does not fit its weights"):
        OnnxVocoder(folder)


def test_threads_are_those_of_the_environment_or_one_per_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    for value in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert 1 <= default_threads() <= (os.cpu_count() or 1)


def test_a_tensor_gives_a_tensor_and_an_array_an_array() -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug")
    waveform = torch.zeros(1, 1, 5000)
    codes = tokenizer.encode_waveform(waveform)
    assert isinstance(codes, torch.Tensor)
    assert codes.dtype == torch.int64
    assert np.array_equal(codes.numpy(), tokenizer.encode_waveform(waveform.numpy()))
    assert isinstance(tokenizer.decode_codes(codes), torch.Tensor)
