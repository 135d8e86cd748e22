"""VGGish: its input beside a formula written out, names and layout of its weights, bad files."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file
from torch.nn import functional

from bandtok.errors import AudioError, CheckpointError
from bandtok.evaluation import generation
from bandtok.evaluation.embedders import load_embedder
from bandtok.evaluation.vggish import (
    VggishEmbedder,
    VggishNetwork,
    load_vggish,
    log_mel_patches,
    mel_weights,
)
from bandtok.signal.audio import Audio

RATE = 16_000
PATCH_SAMPLES = 15_600
# The state dict of torchvggish.
CONVOLUTIONS = {0: (64, 1), 3: (128, 64), 6: (256, 128), 8: (256, 256), 11: (512, 256)}
CONVOLUTIONS[13] = (512, 512)
LINEARS = {0: (4096, 12_288), 2: (4096, 4096), 4: (128, 4096)}
SHAPES = {
    **{f"features.{i}.weight": (*size, 3, 3) for i, size in CONVOLUTIONS.items()},
    **{f"features.{i}.bias": size[:1] for i, size in CONVOLUTIONS.items()},
    **{f"embeddings.{i}.weight": size for i, size in LINEARS.items()},
    **{f"embeddings.{i}.bias": size[:1] for i, size in LINEARS.items()},
}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    values = 0.1 * np.random.default_rng(seed).standard_normal(samples)
    return values.astype(np.float32)


def random_states() -> dict[str, torch.Tensor]:
    """Half-precision weights, about as large as keep a signal's level."""
    generator = torch.Generator().manual_seed(0)
    states = {}
    for name, shape in SHAPES.items():
        values = torch.randn(shape, generator=generator)
        scale = (2 / values[0].numel()) ** 0.5 if name.endswith("weight") else 0.1
        states[name] = (scale * values).half()
    return states


def empty_states() -> dict[str, torch.Tensor]:
    """Zeros that take no room in a file."""
    return {name: torch.zeros(1).expand(shape) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with random weights in both formats; 290 MB, so it is taken away again."""
    folder = tmp_path_factory.mktemp("vggish")
    states = random_states()
    save_file(states, folder / "model.safetensors")
    torch.save({**states, "pproc.pca_means": torch.zeros(128, 1)}, folder / "vggish-10086976.pth")
    yield folder
    for file in folder.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def embedder(weights: Path) -> VggishEmbedder:
    return load_vggish(weights / "model.safetensors")


def written_out_log_mel(samples: np.ndarray) -> np.ndarray:
    """The published front end, number by number in float64: [frames, 64]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)

    def mel(hertz: float) -> float:
        return 1127.0 * np.log(1 + hertz / 700)

    step = (mel(7_500) - mel(125)) / 65
    rows = []
    for start in range(0, len(samples) - 399, 160):
        magnitudes = np.abs(np.fft.rfft(samples[start : start + 400] * window, 512))
        bands = []
        for band in range(64):
            low, tip, high = (mel(125) + (band + k) * step for k in range(3))
            total = 0.0
            for index in range(1, 257):
                place = mel(index * RATE / 512)
                if low < place < high:
                    rise, fall = (place - low) / (tip - low), (high - place) / (high - tip)
                    total += min(rise, fall) * magnitudes[index]
            bands.append(np.log(total + 0.01))
        rows.append(bands)
    return np.array(rows)


def test_the_input_is_as_published() -> None:
    samples = noise(PATCH_SAMPLES + 3_000)
    patches = log_mel_patches(samples)
    assert patches.shape == (1, 96, 64)
    assert patches.dtype == torch.float32
    expected = written_out_log_mel(samples)[:96]
    np.testing.assert_allclose(patches[0].numpy(), expected, atol=1e-4)


def test_mel_bands_are_not_normalized_by_area_and_leave_0_hz_out() -> None:
    weights = mel_weights().numpy()
    assert weights.shape == (257, 64)
    assert (weights[0] == 0).all()
    hertz = np.arange(257) * RATE / 512
    assert not weights[(hertz <= 125) | (hertz >= 7_500)].any()
    # Neighbouring triangles add up to 1 between the first tip and the last.
    np.testing.assert_allclose(weights[(hertz > 200) & (hertz < 7_200)].sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "patches"),
    [(1, 1), (PATCH_SAMPLES, 1), (PATCH_SAMPLES + 15_359, 1), (PATCH_SAMPLES + 15_360, 2)],
)
def test_patches_lie_side_by_side(samples: int, patches: int) -> None:
    assert log_mel_patches(noise(samples)).shape == (patches, 96, 64)


def test_a_second_patch_begins_096_seconds_after_the_first() -> None:
    samples = noise(2 * PATCH_SAMPLES)
    later = log_mel_patches(samples[15_360:])
    torch.testing.assert_close(log_mel_patches(samples)[1:], later)


def test_a_short_recording_stands_in_silence() -> None:
    patches = log_mel_patches(noise(4_000))
    padded = np.pad(noise(4_000), (0, PATCH_SAMPLES - 4_000))
    torch.testing.assert_close(patches, log_mel_patches(padded))
    np.testing.assert_allclose(patches[0, 25:].numpy(), np.log(0.01), rtol=1e-6)
    assert patches[0, 0].min() > np.log(0.01)


def test_weights_are_named_as_in_torchvggish() -> None:
    with torch.device("meta"):
        network = VggishNetwork()
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == SHAPES


def test_embeddings_are_raw_and_the_features_flattened_channels_last(
    embedder: VggishEmbedder,
) -> None:
    samples = noise(2 * PATCH_SAMPLES)
    states = {name: tensor.float() for name, tensor in random_states().items()}
    values = log_mel_patches(samples)[:, None]
    for index in CONVOLUTIONS:
        weight, bias = states[f"features.{index}.weight"], states[f"features.{index}.bias"]
        values = functional.conv2d(values, weight, bias, padding=1).relu()
        if index not in (6, 11):  # the first of two
            values = functional.max_pool2d(values, 2)
    assert values.shape == (2, 512, 6, 4)
    rows = np.moveaxis(values.numpy(), 1, 3).reshape(2, -1)
    for index in LINEARS:
        weight, bias = states[f"embeddings.{index}.weight"], states[f"embeddings.{index}.bias"]
        rows = (rows if index == 0 else rows.clip(min=0)) @ weight.numpy().T + bias.numpy()
    found = embedder.embed(samples, RATE)
    assert found.shape == (2, embedder.embedding_dim) == (2, 128)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows, atol=1e-4 * np.abs(rows).max())
    assert (found < 0).any()  # before the last ReLU


def test_both_formats_hold_the_same_network(weights: Path, embedder: VggishEmbedder) -> None:
    sound = noise(44_100)
    expected = embedder.embed(sound, 44_100)
    assert expected.shape == (1, 128)
    pickled = load_embedder(f"vggish:{weights / 'vggish-10086976.pth'}")
    np.testing.assert_array_equal(pickled.embed(torch.from_numpy(sound), 44_100), expected)
    with pytest.raises(AudioError, match="mono"):
        embedder.embed(np.zeros((2, 9), np.float32), RATE)


@pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None,
    reason="musicnn is not installed: pip install --no-deps musicnn",
)
def test_clips_are_judged_on_its_embeddings(weights: Path, embedder: VggishEmbedder) -> None:
    audio = Audio(noise(4 * RATE)[None], RATE)
    analyzed = generation._analyzer(f"vggish:{weights}").analyze("clip", audio)
    np.testing.assert_array_equal(analyzed.embeddings, embedder.embed(audio.waveform[0], RATE))
    assert analyzed.embeddings.shape == (4, 128)


def test_the_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no VGGish weights"):
        load_vggish(tmp_path)
    # Each file says in its error which it is: none has the right tensors.
    for name in (
        *("vggish_pca_params-970ea276.pth", "vggish-10086976.pth", "vggish.pth"),
        *("vggish.safetensors", "model.safetensors"),
    ):
        path = tmp_path / name
        states = {"other": torch.zeros(1)}
        save_file(states, path) if path.suffix == ".safetensors" else torch.save(states, path)
        with pytest.raises(CheckpointError, match=f"{name} misses|{name} has an unknown"):
            load_vggish(tmp_path)


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vggish.pth"
    states = empty_states()
    torch.save(states, path)
    assert load_vggish(path).embed(noise(10), RATE).shape == (1, 128)
    torch.save({**states, "embeddings.4.bias": torch.zeros(127)}, path)
    with pytest.raises(CheckpointError, match=r"'embeddings\.4\.bias' has shape \(127,\)"):
        load_vggish(path)
    torch.save({**states, "embeddings.6.bias": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"unknown tensor 'embeddings\.6\.bias'"):
        load_vggish(path)
    del states["features.8.weight"]
    torch.save(states, path)
    with pytest.raises(CheckpointError, match=r"misses tensor 'features\.8\.weight'"):
        load_vggish(path)


def test_missing_and_truncated_files_are_one_line(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1_000)}, tmp_path / "cut.safetensors")
    torch.save({"a": torch.zeros(1_000)}, tmp_path / "cut.pth")
    for name in ("cut.safetensors", "cut.pth"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(CheckpointError, match=f"cannot read .*{name}") as caught:
            load_vggish(path)
        assert "\n" not in str(caught.value)
    for name in (str(tmp_path / "absent.pth"), "folder/absent.pth", "a/b/c", "absent"):
        with pytest.raises(CheckpointError, match="no VGGish weights at"):
            load_vggish(name)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, **settings: object) -> str:
        raise LocalEntryNotFoundError("no connection\nand more about it")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(CheckpointError, match=r"'owner/name'.* hub: no connection$") as caught:
        load_vggish("owner/name")
    assert "\n" not in str(caught.value)


def test_weights_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save(empty_states(), tmp_path / "vggish.pth")
    asked: list[object] = []

    def fetched(name: str, allow_patterns: list[str]) -> str:
        asked.extend((name, *allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    assert load_vggish("owner/name").embed(noise(10), RATE).shape == (1, 128)
    assert asked[:2] == ["owner/name", "model.safetensors"]
    assert "*.pth" in asked
