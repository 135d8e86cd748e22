"""Exactness: however the input is cut or batched, the result is the same to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cutting import cut

import bandtok
from bandtok.checkpoint import model_id
from bandtok.errors import AudioError, GridError, ModelMismatch
from bandtok.model_specs import TOKENIZER_SPEC
from bandtok.signal.windows import Window, WindowPlan, cut_windows, reflect_padded
from bandtok.torch_checkpoint import load_network, network_fingerprint


@pytest.fixture(scope="module")
def tokenizer() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained("debug")


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """25 s: more than two windows."""
    rng = np.random.default_rng(0)
    time = np.arange(25 * 44_100) / 44_100
    tones = sum(np.sin(2 * np.pi * f * time * (1 + 0.01 * time)) for f in (110, 440, 3000))
    return (0.1 * tones + rng.normal(0, 0.02, len(time))).astype(np.float32)


def encode_in_blocks(tokenizer: bandtok.Tokenizer, music: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate(list(tokenizer.codec.encode_blocks(cut(music, size))), axis=1)


@pytest.mark.parametrize("size", [997, 4096, 44_100, 700_001])
def test_codes_do_not_depend_on_how_the_waveform_is_cut(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, size: int
) -> None:
    whole = tokenizer.encode_waveform(music[None, None])[0]
    assert whole.shape == (16, -(-len(music) // 4096))
    assert np.array_equal(encode_in_blocks(tokenizer, music, size), whole)


@pytest.mark.parametrize("size", [1, 7, 128, 200])
def test_waveform_does_not_depend_on_how_the_codes_are_cut(
    tokenizer: bandtok.Tokenizer, size: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 64, (16, 280))
    whole = tokenizer.decode_codes(codes[None])[0, 0]
    pieces = np.concatenate(list(tokenizer.codec.decode_blocks(cut(codes, size))))
    assert np.array_equal(pieces, whole)


def test_levels_of_codes_are_those_of_what_they_decode_to(tokenizer: bandtok.Tokenizer) -> None:
    assert tokenizer.codec.level_source is not None
    levels = tokenizer.codec.level_source()
    assert levels.shape == (64,)
    assert abs(levels.mean()) < 1e-5
    order = np.argsort(levels)
    softest, loudest = (
        tokenizer.codec.decode_mel(np.full((16, 8), code)).mean() for code in order[[0, -1]]
    )
    assert softest < loudest


@pytest.mark.parametrize("frames", [9, 60])
def test_a_loop_is_decoded_with_itself_on_either_side(
    tokenizer: bandtok.Tokenizer, frames: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 64, (16, frames))
    found = tokenizer.codec.decode_loop(codes)
    size = tokenizer.samples_per_frame
    assert found.shape == (frames * size,)
    turned = tokenizer.codec.decode_loop(np.roll(codes, 4, axis=1))
    joined = round(0.005 * tokenizer.sample_rate)
    kept = slice(4 * size, len(found) - joined)  # apart from the ends that are joined
    before = slice(0, len(found) - joined - 4 * size)
    np.testing.assert_allclose(turned[kept], found[before], atol=1e-4)


@pytest.mark.parametrize("known", [1, 2, 3])
def test_going_on_after_known_codes(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, known: int
) -> None:
    music = np.concatenate([music, music[::-1]])  # five windows
    whole = encode_in_blocks(tokenizer, music, 99_999)
    marked = whole[::-1, : known * 128]  # not what the network would say
    pieces = tokenizer.codec.encode_blocks(cut(music, 99_999), known=marked)
    expected = np.concatenate([marked, whole[:, known * 128 :]], axis=1)
    assert np.array_equal(np.concatenate(list(pieces), axis=1), expected)


def test_a_batch_is_its_singles(tokenizer: bandtok.Tokenizer, music: np.ndarray) -> None:
    batch = np.stack([music[:50_000], music[50_000:100_000], np.zeros(50_000, np.float32)])[:, None]
    codes = tokenizer.encode_waveform(batch)
    for row, single in zip(batch, codes, strict=True):
        assert np.array_equal(tokenizer.encode_waveform(row[None])[0], single)
    waveforms = tokenizer.decode_codes(codes)
    for row, single in zip(codes, waveforms, strict=True):
        assert np.array_equal(tokenizer.decode_codes(row[None])[0], single)


@pytest.mark.parametrize(("first", "last"), [(128, 129), (120, 140), (255, 257), (130, 280)])
def test_a_range_at_the_seams_of_windows_is_cut_out_of_the_whole(
    tokenizer: bandtok.Tokenizer, first: int, last: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 64, (16, 280))
    grid = bandtok.TokenGrid(codes=codes, codebook_size=64)
    whole = tokenizer.decode(grid).waveform[:, first * 4096 : last * 4096]
    part = tokenizer.decode_range(grid, first * 4096, last * 4096).waveform
    assert np.array_equal(part, whole)


def test_codes_far_from_a_cut_do_not_depend_on_it(
    tokenizer: bandtok.Tokenizer, music: np.ndarray
) -> None:
    whole = tokenizer.encode_waveform(music[None, None])[0]
    part = tokenizer.encode_waveform(music[None, None, 40 * 4096 : 90 * 4096])[0]
    reach = tokenizer.config.encoder_reach + 1
    assert np.array_equal(part[:, reach:-reach], whole[:, 40 + reach : 90 - reach])


@pytest.mark.parametrize("direction", [1, -1], ids=["future", "past"])
def test_windows_hold_all_that_a_code_depends_on(
    tokenizer: bandtok.Tokenizer,
    music: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    direction: int,
) -> None:
    """With an encoder that looks exactly as far as the real one can, in one direction."""
    config = tokenizer.config
    reach = config.encoder_reach

    def encode(shift: int) -> np.ndarray:
        def encode_mel(mel: np.ndarray) -> np.ndarray:
            frames = mel.mean(axis=0).reshape(-1, config.reduction).mean(axis=1)
            codes = (frames * 1000).astype(np.int64) % 64
            return np.roll(np.tile(codes, (16, 1)), -shift, axis=1)

        monkeypatch.setattr(tokenizer.codec.network, "encode_mel", encode_mel)
        return tokenizer.encode_waveform(music[None, None])[0]

    still, moved = encode(0), encode(direction * reach)
    before, after = (moved, still) if direction > 0 else (still, moved)
    assert still.shape[1] > 256
    assert np.array_equal(before[:, :-reach], after[:, reach:])


@pytest.mark.parametrize("direction", [1, -1], ids=["future", "past"])
def test_windows_hold_all_that_a_decoded_mel_depends_on(
    tokenizer: bandtok.Tokenizer, monkeypatch: pytest.MonkeyPatch, direction: int
) -> None:
    config = tokenizer.config
    reach = config.decoder_reach
    codes = np.random.default_rng(0).integers(0, 64, (16, 280))

    def decode(shift: int) -> np.ndarray:
        def decode_codes(codes: np.ndarray, first_frame: int = 0) -> np.ndarray:
            frames = np.roll(codes[0].astype(np.float32), -shift)
            return np.tile(frames.repeat(config.reduction), (config.mel.n_mels, 1))

        monkeypatch.setattr(tokenizer.codec.network, "decode_codes", decode_codes)
        return tokenizer.codec.decode_mel(codes)

    still, moved = decode(0), decode(direction * reach)
    before, after = (moved, still) if direction > 0 else (still, moved)
    columns = reach * config.reduction
    assert np.array_equal(before[:, :-columns], after[:, columns:])


@pytest.mark.parametrize("samples", [0, 1, 767, 768, 769, 4095, 4096, 4097, 9000])
def test_length_is_kept_to_the_sample(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, samples: int
) -> None:
    audio = bandtok.Audio(music[None, :samples], 44_100)
    grid = tokenizer.encode(audio)
    assert grid.codes.shape == (16, -(-samples // 4096))
    assert tokenizer.decode(grid).waveform.shape == (1, samples)


def test_other_rates_and_channels(tokenizer: bandtok.Tokenizer) -> None:
    stereo = bandtok.Audio(np.zeros((2, 48_000), np.float32), 48_000)
    grid = tokenizer.encode(stereo)
    assert grid.seconds == pytest.approx(1.0, abs=1e-4)
    assert len(np.unique(grid.codes, axis=1).T) == 1  # silence is one column over and over


def test_bad_tensors_are_refused(tokenizer: bandtok.Tokenizer) -> None:
    with pytest.raises(AudioError, match="expected"):
        tokenizer.encode_waveform(np.zeros((1, 2, 4096)))
    with pytest.raises(AudioError, match="NaN"):
        tokenizer.encode_waveform(np.full((1, 1, 4096), np.nan))
    with pytest.raises(GridError, match="0 to 63"):
        tokenizer.decode_codes(np.full((1, 16, 2), 64))
    with pytest.raises(GridError, match="integers"):
        tokenizer.decode_codes(np.zeros((1, 16, 2)))


def test_tokens_of_another_model_are_refused_unless_forced(tokenizer: bandtok.Tokenizer) -> None:
    grid = bandtok.TokenGrid(
        codes=np.zeros((16, 2), np.int64), codebook_size=64, model_id="other", fingerprint="f" * 32
    )
    with pytest.raises(ModelMismatch, match="other"):
        tokenizer.decode(grid)
    assert tokenizer.decode(grid, force=True).waveform.shape == (1, 8192)
    larger = bandtok.TokenGrid(codes=np.zeros((16, 2), np.int64), codebook_size=128)
    with pytest.raises(ModelMismatch, match="128"):
        tokenizer.decode(larger, force=True)


def test_the_fingerprint_is_of_values() -> None:
    network = load_network(TOKENIZER_SPEC, "debug")
    with torch.no_grad():
        network.encoder.out.bias[0] = 0.0
        before = network_fingerprint(network)
        network.encoder.out.bias[0] = -0.0
        assert network_fingerprint(network) == before
        network.decoder.out.bias[0] += 1.0
        assert network_fingerprint(network) == before
        network.encoder.out.bias[0] = 1e-6
        assert network_fingerprint(network) != before


def test_token_files_name_a_folder_without_its_path(tmp_path: Path) -> None:
    assert model_id(None) == "bandtok-default"
    assert model_id(tmp_path / ".") == tmp_path.name
    assert model_id("owner/name") == "owner/name"


@pytest.mark.parametrize("length", [0, 1, 5, 10, 11, 23])
@pytest.mark.parametrize("piece", [1, 3, 50])
def test_windows_cover_a_stream_once(length: int, piece: int) -> None:
    stream = np.arange(1, length + 1)[None]
    plan = WindowPlan(core=5, halo=2, step=2)
    windows: list[Window] = list(cut_windows(cut(stream, piece), plan, np.zeros((1, 1))))
    cores = [w.columns[0, 2 : 2 + w.valid] for w in windows]
    assert np.concatenate([np.zeros(0), *cores]).tolist() == stream[0].tolist()
    padded = np.pad(stream[0], (2, 12))
    for index, window in enumerate(windows):
        size = window.columns.shape[1]
        assert window.columns[0].tolist() == padded[5 * index : 5 * index + size].tolist()


@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 9, 20])
@pytest.mark.parametrize("piece", [1, 2, 7, 50])
def test_mirrored_stream_equals_padding_the_whole(length: int, piece: int) -> None:
    samples = np.arange(1.0, length + 1)
    got = np.concatenate(list(reflect_padded(cut(samples, piece), padding=3, multiple=4)))
    filled = np.pad(samples, (0, -length % 4))
    expected = np.pad(filled, 3, mode="reflect")
    assert np.array_equal(got, expected)


def test_rows_of_a_padded_batch_are_as_if_alone(tokenizer: bandtok.Tokenizer) -> None:
    rng = np.random.default_rng(0)
    size = tokenizer.samples_per_frame
    batch = rng.uniform(-0.5, 0.5, (3, 1, 6 * size)).astype(np.float32)
    lengths = [5 * size, 2 * size + 9, 0]
    codes = tokenizer.encode_waveform(batch, lengths)
    assert codes.shape[2] == 5
    for row, length, frames in zip(range(3), lengths, (5, 3, 0), strict=True):
        alone = tokenizer.encode_waveform(batch[row : row + 1, :, :length])
        assert np.array_equal(codes[row : row + 1, :, :frames], alone)
        assert (codes[row, :, frames:] == -1).all()
    sound = tokenizer.decode_codes(codes, [5, 3, 0])
    assert np.array_equal(sound[1, :, : 3 * size], tokenizer.decode_codes(codes[1:2, :, :3])[0])
    assert not sound[1, :, 3 * size :].any()
    with pytest.raises(GridError, match="codes from -1"):
        tokenizer.decode_codes(codes)
    for wrong in ([1], [1, 2, 6 * size + 1], [1, 2, -1]):
        with pytest.raises(AudioError, match="expected 3 numbers from 0 to"):
            tokenizer.encode_waveform(batch, wrong)
