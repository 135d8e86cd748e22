"""Graphs: the stored ones are those that export writes, and they hold no weights."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto

import bandtok
from bandtok.checkpoint import BUNDLED, find_model_folders
from bandtok.errors import CheckpointError
from bandtok.export import GRAPHS, export_model, join_models
from bandtok.model_specs import RESIDUAL_SPEC, TOKENIZER_SPEC
from bandtok.torch_checkpoint import debug_network, grow_decoder, save_network

STORED = sorted(BUNDLED.rglob("*.onnx"))


@pytest.mark.parametrize("name", [None, "debug"])
def test_stored_graphs_are_what_export_writes(name: str | None, tmp_path: Path) -> None:
    """Else run `bandtok export src/bandtok/weights` and tools/write_debug_models.py."""
    written = join_models([name], tmp_path)
    root = BUNDLED if name is None else BUNDLED / name
    assert {path.relative_to(tmp_path) for path in written} == {
        path.relative_to(root) for path in STORED if ("debug" in path.parts) == (name == "debug")
    }
    for path in written:
        stored = onnx.load(root / path.relative_to(tmp_path), load_external_data=False)
        found = onnx.load(path, load_external_data=False)
        assert found.graph == stored.graph, path.name
        assert found.metadata_props == stored.metadata_props


@pytest.mark.parametrize("path", STORED, ids=lambda path: "/".join(path.parts[-3:]))
def test_graphs_are_small_and_hold_no_weights(path: Path) -> None:
    assert path.stat().st_size < 100_000
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        assert tensor.data_location == TensorProto.EXTERNAL or len(tensor.raw_data) <= 1024


@pytest.mark.parametrize("spec", [TOKENIZER_SPEC, RESIDUAL_SPEC], ids=lambda spec: spec.name)
def test_a_run_folder_is_exported_beside_its_weights(spec: object, tmp_path: Path) -> None:
    """With all optional parts of the decoder, which have an effect."""
    network = grow_decoder(debug_network(spec), fine_blocks=1, noise_channels=2)  # type: ignore[arg-type]
    for name, parameter in network.named_parameters():
        if name.endswith(("noise.project.weight", "fine.out.weight")):
            torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path / "run" / "model"
    save_network(network, folder, spec.name)  # type: ignore[attr-defined]
    written = export_model(tmp_path / "run")
    assert {path.name for path in written} == set(GRAPHS[spec.name])  # type: ignore[attr-defined]
    assert {path.parent for path in written} == {folder}
    first, second = (
        bandtok.Tokenizer.from_pretrained(tmp_path / "run", vocoder="debug", backend=name)
        for name in ("onnx", "torch")
    )
    codes = bandtok.TokenGrid.load(BUNDLED.parent / "golden_vectors" / "debug" / "tokens.btk").codes
    codes = codes[: first.num_bands, :20].astype(int)
    found, expected = (tokenizer.codec.decode_mel(codes) for tokenizer in (first, second))
    assert abs(found - expected).max() < 1e-3


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        export_model(tmp_path)
    assert set(find_model_folders("debug")) >= {"tokenizer", "vocoder", "lm", "residual"}


def test_models_are_joined_into_one(tmp_path: Path) -> None:
    network = debug_network(TOKENIZER_SPEC)
    torch.nn.init.normal_(network.decoder.out.weight, std=0.1)  # type: ignore[union-attr]
    save_network(network, tmp_path / "run" / "model", TOKENIZER_SPEC.name)
    joined = tmp_path / "joined"
    join_models(["debug", tmp_path / "run"], joined)
    model = bandtok.MusicModel.from_pretrained(joined, backend="onnx")
    clip = model.generate("calm", 0.5)
    alone = bandtok.Tokenizer.from_pretrained(tmp_path / "run", vocoder="debug", backend="torch")
    expected = alone.decode(clip.grid).waveform
    found = model.tokenizer.decode(clip.grid).waveform
    assert abs(found - expected).max() < 1e-3
    debug = bandtok.Tokenizer.from_pretrained("debug").decode(clip.grid).waveform
    assert abs(found - debug).max() > 1e-2


def test_networks_of_other_codes_are_not_joined(tmp_path: Path) -> None:
    network = debug_network(TOKENIZER_SPEC)
    save_network(network, tmp_path / "run" / "model", TOKENIZER_SPEC.name)
    with pytest.raises(CheckpointError, match="trained on codes of tokenizer"):
        join_models(["bundled", tmp_path / "run"], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
