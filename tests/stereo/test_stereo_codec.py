"""Stereo behind the same interface: exact however it is cut, and the mono grid as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.cutting import cut

import bandtok
from bandtok.api.music_model import MusicModel
from bandtok.backends.torch_codec import TorchCodec
from bandtok.codec import Codec
from bandtok.errors import AudioError, GridError, TokenFileError
from bandtok.stereo.rows import mid_and_side, stack_rows
from bandtok.tokenizer.config import DEBUG_TOKENIZER, TokenizerConfig
from bandtok.tokenizer.model import TokenizerNetwork
from bandtok.tokens.token_file import TokenFile, salvage_token_file
from bandtok.tokens.token_format import file_bytes
from bandtok.tokens.token_header import TokenFileHeader


@pytest.fixture(scope="module")
def tokenizer() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained("debug", device="cpu")


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """25 s, more than two windows, float32 [2, n]: something left, right, central and wide."""
    rng = np.random.default_rng(0)
    time = np.arange(25 * 44_100) / 44_100
    left, right, both = (np.sin(2 * np.pi * f * time * (1 + 0.01 * time)) for f in (110, 440, 3000))
    hiss = rng.normal(0, 0.02, (2, len(time)))
    return (0.1 * np.stack((left + both, right + both)) + hiss).astype(np.float32)


def test_lower_rows_are_the_mono_grid(tokenizer: bandtok.Tokenizer, music: np.ndarray) -> None:
    for rate in (44_100, 48_000):
        audio = bandtok.Audio(music[:, :200_001], rate)
        grid, mono = tokenizer.encode(audio, stereo=True), tokenizer.encode(audio)
        assert (grid.channels, grid.num_bands, grid.num_rows) == (2, 16, 32)
        assert grid.bit_rate_bps == 2 * mono.bit_rate_bps
        np.testing.assert_array_equal(grid.codes[:16], mono.codes)
        np.testing.assert_array_equal(grid.mono().codes, mono.codes)
        assert (grid.mono().channels, mono.pan_bands) == (1, 0)
        assert grid.num_samples == mono.num_samples


@pytest.mark.parametrize("size", [997, 4096, 700_001])
def test_codes_do_not_depend_on_how_the_waveform_is_cut(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, size: int
) -> None:
    whole = tokenizer.encode(bandtok.Audio(music, 44_100), stereo=True).codes
    blocks = cut(next(mid_and_side([music])), size)
    pieces = np.concatenate(list(tokenizer.codec.encode_stereo_blocks(blocks)), axis=1)
    np.testing.assert_array_equal(pieces, whole)


@pytest.mark.parametrize("size", [1, 7, 128, 200])
def test_waveform_does_not_depend_on_how_the_codes_are_cut(
    tokenizer: bandtok.Tokenizer, size: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 64, (32, 280))
    whole = tokenizer.decode_codes(codes[None])[0]
    assert whole.shape == (2, 280 * 4096)
    pieces = list(tokenizer.codec.decode_stereo_blocks(cut(codes, size)))
    assert np.array_equal(np.concatenate(pieces, axis=1), whole)
    mono = tokenizer.decode_codes(codes[None, :16])[0, 0]
    np.testing.assert_allclose(whole.mean(axis=0), mono, rtol=1e-5, atol=1e-6)


def test_a_batch_is_its_singles_and_a_range_is_cut_out(
    tokenizer: bandtok.Tokenizer, music: np.ndarray
) -> None:
    grid = tokenizer.encode(bandtok.Audio(music, 44_100), stereo=True)
    codes = grid.codes
    batch = np.stack((codes[:, :40], codes[:, 40:80]))
    decoded = tokenizer.decode_codes(batch)
    for row, single in zip(batch, decoded, strict=True):
        assert np.array_equal(tokenizer.decode_codes(row[None])[0], single)
    assert tokenizer.decode_codes(batch[:0]).shape == (0, 2, 0)
    whole = tokenizer.decode(grid).waveform
    for first, last in ((0, 5), (600_000, 700_000), (1_090_000, 1_102_500)):
        part = tokenizer.decode_range(grid, first, last).waveform
        np.testing.assert_array_equal(part, whole[:, first:last])


def test_a_file_is_streamed_as_the_waveform(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, tmp_path: Path
) -> None:
    bandtok.Audio(music[:, :150_000], 32_000).save(tmp_path / "a.wav")
    loaded = bandtok.signal.audio.load_audio(tmp_path / "a.wav")
    from_file = tokenizer.encode(tmp_path / "a.wav", stereo=True)
    np.testing.assert_array_equal(from_file.codes, tokenizer.encode(loaded, stereo=True).codes)
    np.testing.assert_array_equal(from_file.codes[:16], tokenizer.encode(tmp_path / "a.wav").codes)


@pytest.mark.parametrize("samples", [0, 1, 768, 4096, 4097, 9000])
def test_length_is_kept_to_the_sample(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, samples: int
) -> None:
    grid = tokenizer.encode(bandtok.Audio(music[:, :samples], 44_100), stereo=True)
    assert grid.codes.shape == (32, -(-samples // 4096))
    assert tokenizer.decode(grid).waveform.shape == (2, samples)


@pytest.mark.parametrize("channels", [1, 2])
def test_one_sound_on_both_channels_is_the_mono_decode_to_the_bit(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, channels: int
) -> None:
    audio = bandtok.Audio(np.repeat(music[:1, :100_000], channels, axis=0), 48_000)
    grid = tokenizer.encode(audio, stereo=True)
    assert not grid.codes[16:].any()
    mono = tokenizer.decode(grid.mono()).waveform
    np.testing.assert_array_equal(tokenizer.decode(grid).waveform, np.repeat(mono, 2, axis=0))


@pytest.mark.parametrize("silent", [0, 1])
def test_one_silent_channel_comes_back_silent(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, silent: int
) -> None:
    only = music[:, :60_000].copy()
    only[silent] = 0
    decoded = tokenizer.decode(tokenizer.encode(bandtok.Audio(only, 44_100), stereo=True)).waveform
    assert np.abs(decoded[silent]).max() < 1e-5 * np.abs(decoded[1 - silent]).max()


def test_swapped_channels_keep_the_mono_grid_and_swap_levels(
    tokenizer: bandtok.Tokenizer, music: np.ndarray
) -> None:
    first = tokenizer.encode(bandtok.Audio(music[:, :200_000], 44_100), stereo=True)
    second = tokenizer.encode(bandtok.Audio(music[::-1, :200_000], 44_100), stereo=True)
    np.testing.assert_array_equal(first.codes[:16], second.codes[:16])
    levels = [np.log(tokenizer.decode(g).waveform.std(axis=1)) for g in (first, second)]
    np.testing.assert_allclose(levels[0], levels[1][::-1], atol=0.05)


def test_other_channels_and_small_codebooks_are_refused(tokenizer: bandtok.Tokenizer) -> None:
    six = bandtok.Audio(np.zeros((6, 5000), np.float32), 44_100)
    with pytest.raises(AudioError, match="6 channels"):
        tokenizer.encode(six, stereo=True)
    assert tokenizer.encode(six).channels == 1
    values = {**DEBUG_TOKENIZER.to_dict(), "codebook_size": 32}
    network = TokenizerNetwork(TokenizerConfig.from_dict(values)).eval()
    small = bandtok.Tokenizer(Codec(TorchCodec(network), tokenizer.codec.vocoder), "small")
    two = bandtok.Audio(np.zeros((2, 5000), np.float32), 44_100)
    assert small.encode(two).num_rows == 16
    with pytest.raises(GridError, match="at least 64"):
        small.encode(two, stereo=True)


def test_token_file_round_trip_range_and_salvage(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, tmp_path: Path
) -> None:
    grid, path = tokenizer.encode(bandtok.Audio(music, 44_100), stereo=True), tmp_path / "a.btk"
    grid.save(path)
    loaded = bandtok.TokenGrid.load(path)
    assert (loaded.pan_bands, loaded.channels, loaded.extra) == (16, 2, grid.extra)
    np.testing.assert_array_equal(loaded.codes, grid.codes)
    with TokenFile(path) as file:
        assert file.header.version == (1, 1)
        assert (file.header.bands, file.header.channels, file.header.sound_bands) == (32, 2, 16)
        np.testing.assert_array_equal(file.read_frames(130, 140), grid.codes[:, 130:140])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    kept = salvage_token_file(path).grid
    assert kept.pan_bands == 16
    assert kept.num_frames == 128
    assert tokenizer.decode(kept).waveform.shape == (2, 128 * 4096)


def test_mono_files_say_nothing_of_pan_rows(tmp_path: Path) -> None:
    bandtok.TokenGrid(codes=np.zeros((16, 2), np.int64), codebook_size=64).save(tmp_path / "a.btk")
    data = (tmp_path / "a.btk").read_bytes()
    assert data[8:12] == b"\x01\x00\x00\x00"
    assert b"pan" not in data


@pytest.mark.parametrize(("bands", "size", "channels"), [(23, 4096, 2), (24, 4096, 1), (24, 63, 2)])
def test_rows_that_do_not_fit_are_refused(bands: int, size: int, channels: int) -> None:
    with pytest.raises(TokenFileError, match="pan_bands 16"):
        TokenFileHeader(
            codebook_size=size,
            bands=bands,
            pan_bands=16,
            channels=channels,
            sample_rate=44_100,
            samples_per_frame=4096,
            num_samples=None,
        )
    if channels == 2:
        with pytest.raises(GridError, match="pan_bands 16"):
            bandtok.TokenGrid(
                codes=np.zeros((bands, 2), np.int64), codebook_size=size, pan_bands=16
            )


def test_an_old_header_reads_as_mono() -> None:
    header = TokenFileHeader(
        codebook_size=64, bands=16, sample_rate=44_100, samples_per_frame=4096, num_samples=None
    )
    assert (header.pan_bands, header.sound_bands) == (0, 16)
    assert b"pan_bands" not in file_bytes(header, np.zeros((16, 1), np.int32))


def test_music_goes_on_from_the_mono_rows(tokenizer: bandtok.Tokenizer, music: np.ndarray) -> None:
    model = MusicModel.from_pretrained("debug", device="cpu")
    start = model.tokenizer.encode(bandtok.Audio(music[:, :20_000], 44_100), stereo=True)
    stereo = model.generate("", 0.3, seed=1, continue_from=start)
    mono = model.generate("", 0.3, seed=1, continue_from=start.mono())
    np.testing.assert_array_equal(stereo.grid.codes, mono.grid.codes)
    assert stereo.grid.channels == len(stereo.audio.waveform) == 1


@pytest.mark.parametrize("sizes", [(5, 5), (2, 8), (9, 1), (1, 3)])
def test_streams_are_laid_beside_one_another(sizes: tuple[int, int]) -> None:
    low, high = np.arange(20).reshape(2, 10), np.arange(30).reshape(3, 10)
    pieces = list(stack_rows(cut(low, sizes[0]), cut(high, sizes[1])))
    assert [p.shape[1] for p in pieces] == [p.shape[1] for p in cut(low, sizes[0])]
    assert np.array_equal(np.concatenate(pieces, axis=1), np.concatenate((low, high)))


def test_streams_are_held_for_a_few_windows_only(tokenizer: bandtok.Tokenizer) -> None:
    pulled = 0

    def counted(width: int, rows: int, dtype: type) -> Iterator[np.ndarray]:
        nonlocal pulled
        for _ in range(70):
            pulled += 16
            yield np.zeros((rows, 16 * width), dtype)

    done = 0
    for codes in tokenizer.codec.encode_stereo_blocks(counted(4096, 2, np.float32)):
        done += codes.shape[1]
        assert pulled <= done + 160
    pulled = sound = 0
    for both in tokenizer.codec.decode_stereo_blocks(counted(1, 32, np.int64)):
        sound += both.shape[1] // 4096
        assert pulled <= sound + 3 * 128
    assert done == sound == pulled == 70 * 16
