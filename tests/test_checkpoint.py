"""Model folders: round trip, finding by name, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bandtok.api.tokenizer import Tokenizer
from bandtok.checkpoint import ModelSpec, find_model_folder, holds_network
from bandtok.errors import CheckpointError
from bandtok.model_specs import SPECS, TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.torch_checkpoint import debug_network, load_network, save_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_network(debug_network(VOCODER_SPEC), tmp_path / "model", "vocoder", card="# A card\n")
    return tmp_path / "model"


def test_a_saved_network_comes_back_in_half_precision(folder: Path) -> None:
    before, after = debug_network(VOCODER_SPEC), load_network(VOCODER_SPEC, folder)
    assert after.config == before.config
    for name, tensor in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], tensor.half().float()), name
    assert (folder / "README.md").read_text() == "# A card\n"
    assert not any(p.requires_grad for p in after.parameters())
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1, "weights must be as readable as their config"


def test_a_run_folder_is_a_name_too(folder: Path) -> None:
    assert find_model_folder("vocoder", folder.parent) == folder


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_stored_debug_networks_are_those_of_the_seed(spec: ModelSpec) -> None:
    """Else run tools/write_debug_models.py."""
    torch.manual_seed(1)
    state = torch.get_rng_state()
    built, stored = debug_network(spec), load_network(spec, "debug")
    assert stored.config == spec.debug
    for name, tensor in built.state_dict().items():
        assert torch.equal(tensor.half().float(), stored.state_dict()[name])
    load_network(spec, "debug")
    debug_network(spec)
    assert torch.equal(state, torch.get_rng_state())


def change_config(folder: Path, **values: object) -> None:
    content = json.loads((folder / "config.json").read_text())
    content["config"] |= values
    (folder / "config.json").write_text(json.dumps(content))


def test_shapes_that_do_not_fit_are_refused_before_loading(folder: Path) -> None:
    change_config(folder, model_dim=64)
    with pytest.raises(CheckpointError, match="shape"):
        load_network(VOCODER_SPEC, folder)


@pytest.mark.parametrize("change", [{"model_dim": 10**6}, {"model_dim": 10**5, "expansion": 900}])
def test_a_config_cannot_ask_for_memory_that_the_weights_do_not_fill(
    folder: Path, change: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(torch.nn.init, "trunc_normal_", lambda t, **_: built.append(t.device.type))
    change_config(folder, **change)
    with pytest.raises(CheckpointError, match="shape"):
        load_network(VOCODER_SPEC, folder)
    assert set(built) <= {"meta"}


@pytest.mark.parametrize(
    "change",
    [
        {"model_dim": 10**7},
        {"num_blocks": 10**6},
        {"num_corrections": 10**6},
        {"expansion": 10**400},
        {"mel_mean": -1e30},
        {"mel": {"n_fft": 1 << 20, "win_length": 1 << 20}},
    ],
)
def test_absurd_sizes_in_a_config_are_refused(folder: Path, change: dict[str, object]) -> None:
    change_config(folder, **change)
    with pytest.raises(CheckpointError, match=r"config\.json: got .* expected at most"):
        load_network(VOCODER_SPEC, folder)


def test_missing_and_unknown_tensors_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    renamed = {("x" if k == "norm_in.bias" else k): v for k, v in tensors.items()}
    save_file(renamed, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"misses tensor 'norm_in\.bias'"):
        load_network(VOCODER_SPEC, folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"kind": "vocoder"}'])
def test_damaged_configs_are_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="config"):
        load_network(VOCODER_SPEC, folder)


def test_damaged_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80" * 100)
    with pytest.raises(CheckpointError, match="cannot read weights"):
        load_network(VOCODER_SPEC, folder)


def test_another_kind_or_setting_is_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a vocoder; expected a tokenizer"):
        load_network(TOKENIZER_SPEC, folder)
    change_config(folder, nonsense=1)
    with pytest.raises(CheckpointError, match="nonsense"):
        load_network(VOCODER_SPEC, folder)


def test_a_name_that_is_nothing_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a folder"):
        load_network(VOCODER_SPEC, tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="expected a folder"):
        load_network(VOCODER_SPEC, "nowhere")


@pytest.mark.parametrize("place", [".", "model"])
def test_a_vocoder_beside_its_tokenizer_is_the_one_that_is_used(tmp_path: Path, place: str) -> None:
    """As `train vocoder joint` leaves them in a run folder; the bundled one would not belong."""
    folder = tmp_path / "run" / place
    for kind in (TOKENIZER_SPEC, VOCODER_SPEC):
        save_network(debug_network(kind), folder / kind.name, kind.name)
    tokenizer = Tokenizer.from_pretrained(tmp_path / "run")
    assert tokenizer.codec.vocoder.reach == VOCODER_SPEC.debug.reach  # type: ignore[attr-defined]
    assert holds_network("vocoder", tmp_path / "run")
    assert not holds_network("lm", tmp_path / "run")
