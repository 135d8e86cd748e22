"""What the public functions accept, how they refuse the rest, and how objects show themselves."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bandtok
from bandtok.errors import BandTokError, CheckpointError, GridError

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 30_000).astype(np.float32)


@pytest.fixture(scope="module")
def tokenizer() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained("debug", device="cpu")


@pytest.fixture(scope="module")
def model() -> bandtok.MusicModel:
    return bandtok.MusicModel.from_pretrained("debug", device="cpu")


@pytest.fixture(scope="module")
def clip(model: bandtok.MusicModel) -> bandtok.Clip:
    return model.generate("", 0.6, num_candidates=1, loudness_lufs=None)


def test_a_piece_is_taken_in_every_form(
    model: bandtok.MusicModel, clip: bandtok.Clip, tmp_path: Path
) -> None:
    clip.grid.save(tmp_path / "a.btk")
    clip.audio.save(tmp_path / "a.wav", sample_format="float")
    of_tokens = [clip.grid, clip, tmp_path / "a.btk", str(tmp_path / "a.btk")]
    of_audio = [clip.audio, tmp_path / "a.wav"]
    for sources in (of_tokens, of_audio):
        edited = [model.edit(source, "0.2-0.4", seed=1).grid.codes for source in sources]
        further = [
            model.generate("", 0.1, continue_from=source, num_candidates=1).grid.codes
            for source in sources
        ]
        size = clip.grid.samples_per_frame
        known = clip.grid.num_frames * size if sources is of_tokens else round(0.6 * 44_100)
        assert further[0].shape[1] == -(-(known + 4410) // size)
        for found in (edited, further):
            for other in found[1:]:
                np.testing.assert_array_equal(other, found[0])


def test_a_continuation_begins_where_the_music_is_whole(model: bandtok.MusicModel) -> None:
    size = model.tokenizer.samples_per_frame
    for samples, kept in ((3 * size, 3), (3 * size + 1, 2), (size + 9, 1)):
        sound = bandtok.Audio(NOISE[:samples], 44_100)
        longer = model.generate("", 0.1, continue_from=sound, num_candidates=1)
        assert longer.grid.num_samples == samples + round(0.1 * 44_100)
        codes = model.tokenizer.encode(sound).codes[:, :kept]
        np.testing.assert_array_equal(longer.grid.codes[:, :kept], codes)
    with pytest.raises(GridError, match="less than one frame"):
        model.generate("", 0.1, continue_from=bandtok.Audio(NOISE[:100], 44_100))


def test_a_region_is_taken_in_every_form(model: bandtok.MusicModel, clip: bandtok.Clip) -> None:
    region = bandtok.Region(seconds=(0.1, 0.3), hertz=(2000, 4000))
    text = "0.1-0.3s,2000-4000"
    expected = model.edit(clip, region).grid.codes
    for same in (text, [region], [text], (text, region)):
        np.testing.assert_array_equal(model.edit(clip, same).grid.codes, expected)
    assert (expected != clip.grid.codes).any()


def test_a_grid_is_decoded_from_its_file(
    tokenizer: bandtok.Tokenizer, clip: bandtok.Clip, tmp_path: Path
) -> None:
    clip.grid.save(tmp_path / "a.btk")
    expected = tokenizer.decode(clip.grid).waveform
    for source in (tmp_path / "a.btk", str(tmp_path / "a.btk")):
        np.testing.assert_array_equal(tokenizer.decode(source).waveform, expected)


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_arrays_are_encoded_with_their_rate(
    tokenizer: bandtok.Tokenizer, make: Callable[[np.ndarray], Any]
) -> None:
    expected = tokenizer.encode(bandtok.Audio(NOISE[None], 32_000))
    for shape in ((-1,), (1, -1)):
        found = tokenizer.encode(make(NOISE.reshape(shape)), sample_rate=32_000)
        np.testing.assert_array_equal(found.codes, expected.codes)
        assert found.num_samples == expected.num_samples


def test_batches_keep_the_kind_they_were_given(tokenizer: bandtok.Tokenizer) -> None:
    array = NOISE[None, None]
    codes, codes_of_tensor = (
        tokenizer.encode_waveform(array),
        tokenizer.encode_waveform(torch.from_numpy(array)),
    )
    assert isinstance(codes, np.ndarray)
    assert isinstance(codes_of_tensor, torch.Tensor)
    np.testing.assert_array_equal(codes, codes_of_tensor.numpy())
    sound, sound_of_tensor = tokenizer.decode_codes(codes), tokenizer.decode_codes(codes_of_tensor)
    assert isinstance(sound, np.ndarray)
    np.testing.assert_array_equal(sound, sound_of_tensor.numpy())


CODES = np.zeros((16, 4), np.int64)
REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda m: m.generate(["a", "b"]), "prompt that is of type list.* use generate_batch"),
    (lambda m: m.generate(None), "got a prompt that is None; expected a string"),
    (lambda m: m.generate_batch("calm"), "prompts that are of type str; .* use generate"),
    (lambda m: m.generate_batch([1]), "prompt that is of type int; expected a string"),
    (lambda m: m.generate("", "long"), "got a duration of long s; expected"),
    (lambda m: m.generate("", float("nan")), "got a duration of nan s; expected"),
    (lambda m: m.generate("", 0.1, seed=0.5), "got seed 0.5; expected an integer"),
    (lambda m: m.generate("", 0.1, seed=-1), "got seed -1; expected an integer of 0 or more"),
    (lambda m: m.generate("", 0.1, continue_from=CODES), "ndarray and shape .16, 4.; expected"),
    (lambda m: m.generate("", 0.1, continue_from="no.btk"), "no.btk"),
    (lambda m: m.edit(CODES, "0-1"), "expected a TokenGrid, Clip, Audio"),
    (lambda m: m.edit("no.wav", "0-1"), "no such audio file"),
    (lambda m: m.edit("no.wav", 3), "region that is of type int; expected a Region"),
    (lambda m: m.edit("no.wav", "soon"), "got region 'soon'; expected"),
    (lambda m: m.edit("no.wav", "0-1", None), "got a prompt that is None"),
    (lambda m: m.tokenizer.decode(CODES), "shape .16, 4.; .* with decode_codes"),
    (lambda m: m.tokenizer.decode(torch.zeros(1, 16, 4)), "Tensor and .* with decode_codes"),
    (lambda m: m.tokenizer.decode(None), "got None; expected a TokenGrid"),
    (lambda m: m.tokenizer.encode(NOISE), "without sample_rate; expected encode"),
    (lambda m: m.tokenizer.encode("a.wav", sample_rate=8000), "expected sample_rate for arrays"),
    (lambda m: m.tokenizer.encode(3), "got of type int; expected the path"),
    (lambda m: m.tokenizer.encode(NOISE[None, None], sample_rate=8000), "got a waveform of shape"),
    (lambda m: m.tokenizer.encode_waveform([1.0]), "expected a tensor or an array"),
    (lambda m: m.tokenizer.decode_codes(CODES), "got codes of shape .16, 4."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=range(len(REFUSED)))
def test_wrong_arguments_are_refused_in_one_line(
    model: bandtok.MusicModel, call: Callable[[Any], object], message: str
) -> None:
    with pytest.raises((BandTokError, FileNotFoundError), match=message) as caught:
        call(model)
    assert "\n" not in str(caught.value)


def test_objects_show_themselves_in_one_line(
    model: bandtok.MusicModel, tokenizer: bandtok.Tokenizer, clip: bandtok.Clip
) -> None:
    assert repr(clip.grid) == "TokenGrid(16 bands x 7 frames, 0.6 s, 1.03 kbit/s, debug)"
    assert repr(clip) == f"Clip({clip.audio!r}, {clip.grid!r})"
    assert repr(tokenizer) == (
        "Tokenizer(16 bands x 10.77 frames/s, 64 codes, 1.03 kbit/s, 44100 Hz, cpu, debug)"
    )
    assert repr(model).startswith("MusicModel(")
    assert repr(model).endswith(f" M parameters, {tokenizer!r})")
    stereo = tokenizer.encode(np.stack([NOISE, -NOISE]), stereo=True, sample_rate=44_100)
    assert "pan rows x" in repr(stereo)


def test_pictures_and_players(clip: bandtok.Clip) -> None:
    page = clip.grid._repr_html_()
    content = base64.b64decode(page.split("base64,")[1].split('"')[0])
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels.shape == (16, clip.grid.num_frames, 3)
    same = clip.grid.codes[::-1] == clip.grid.codes[-1, 0]
    assert (pixels[same] == pixels[0, 0]).all()
    assert clip._repr_html_() == clip.audio._repr_html_() + page
    assert "<img" not in clip.grid.part(0, 0)._repr_html_()


class Counter:
    """Counts calls of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        return self.function(*arguments, **named)


def test_encoding_loads_no_vocoder_and_the_first_decode_loads_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = Counter(bandtok.api.tokenizer.load_vocoder_network)
    monkeypatch.setattr("bandtok.api.tokenizer.load_vocoder_network", load)
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", device="cpu")
    grid = tokenizer.encode(NOISE, sample_rate=44_100)
    tokenizer.encode_waveform(NOISE[None, None])
    assert load.calls == 0
    tokenizer.decode(grid)
    tokenizer.decode(grid)
    assert load.calls == 1
    bandtok.Tokenizer.from_pretrained("debug", vocoder="debug", device="cpu")
    assert load.calls == 2  # a vocoder that is named is loaded, and so checked, at once


def test_a_damaged_vocoder_fails_when_it_is_needed(tmp_path: Path) -> None:
    from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC  # noqa: PLC0415
    from bandtok.torch_checkpoint import debug_network, save_network  # noqa: PLC0415

    for spec in (TOKENIZER_SPEC, VOCODER_SPEC):
        save_network(debug_network(spec), tmp_path / spec.name, spec.name)
    (tmp_path / "vocoder" / "model.safetensors").write_bytes(b"damaged")
    tokenizer = bandtok.Tokenizer.from_pretrained(tmp_path, device="cpu")
    grid = tokenizer.encode(NOISE, sample_rate=44_100)
    with pytest.raises(CheckpointError, match="cannot read weights"):
        tokenizer.decode(grid)
    with pytest.raises(CheckpointError, match="cannot read weights"):
        bandtok.Tokenizer.from_pretrained(tmp_path, vocoder=tmp_path, device="cpu")


@pytest.mark.parametrize("stereo", [False, True])
def test_encoding_opens_a_file_once(
    tokenizer: bandtok.Tokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stereo: bool
) -> None:
    import soundfile  # noqa: PLC0415

    bandtok.Audio(np.stack([NOISE, NOISE]), 32_000).save(tmp_path / "a.flac")
    opened = Counter(soundfile.SoundFile)
    monkeypatch.setattr("bandtok.signal.audio.soundfile.SoundFile", opened)
    tokenizer.encode(tmp_path / "a.flac", stereo=stereo)
    assert opened.calls == 1
