"""Loading, resampling and saving, and what is refused."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.audio import (
    Audio,
    load_audio,
    probe_audio,
    resample_blocks,
    stream_audio,
)
from bandtok.signal.audio_writer import AudioWriter, ClippingWarning
from bandtok.signal.find_files import find_audio_files


def tone(rate: int, seconds: float = 0.5, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return np.tile(0.5 * np.sin(2 * np.pi * hertz * time), (channels, 1)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_saves_what_it_loads(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone{suffix}"
    Audio(tone(44_100, channels=2), 44_100).save(path)
    loaded = load_audio(path)
    assert loaded.sample_rate == 44_100
    assert loaded.waveform.shape[0] == 2
    assert loaded.seconds == pytest.approx(0.5, abs=0.06)
    assert np.abs(loaded.waveform).max() == pytest.approx(0.5, abs=0.05)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000, 192_000])
def test_any_rate_becomes_the_models(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate, channels=8).T, rate)
    loaded = load_audio(path, 44_100, mono=True)
    assert loaded.waveform.shape == (1, pytest.approx(22_050, abs=1))
    spectrum = np.abs(np.fft.rfft(loaded.waveform[0]))
    assert np.argmax(spectrum) * 44_100 / loaded.waveform.shape[1] == pytest.approx(440, abs=2)


def test_mono_is_the_mean_of_all_channels(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([np.full(100, 0.5), np.full(100, -0.25)], 1), 44_100, "FLOAT")
    assert np.allclose(load_audio(path, mono=True).waveform, 0.125)


def test_resampling_does_not_depend_on_how_the_stream_is_cut() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 50_000)).astype(np.float32)
    whole = np.concatenate(list(resample_blocks([samples], 48_000, 44_100, 2)), axis=1)
    pieces = [samples[:, a : a + 777] for a in range(0, 50_000, 777)]
    cut = np.concatenate(list(resample_blocks(pieces, 48_000, 44_100, 2)), axis=1)
    assert np.array_equal(whole, cut)


def test_a_stream_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 200_000), 44_100)
    blocks = list(stream_audio(path, 44_100))
    assert len(blocks) > 2
    assert np.array_equal(np.concatenate(blocks, axis=1), load_audio(path).waveform)


def test_a_stream_starts_anywhere_inside(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 1000), 44_100)
    part = np.concatenate(list(stream_audio(path, 44_100, start=400)), axis=1)
    assert np.array_equal(part, load_audio(path).waveform[:, 400:])
    for start in (-1, 1001):
        with pytest.raises(AudioError, match="0 to 1000"):
            list(stream_audio(path, 44_100, start=start))


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_very_short_files(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(samples), 44_100)
    assert load_audio(path).waveform.shape == (1, samples)
    assert probe_audio(path).samples == samples


def test_unusable_files_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio at all")
    (tmp_path / "empty.flac").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 1.0]), 44_100, "FLOAT")
    for name in ("text.wav", "empty.flac", "folder.wav", "nan.wav", "missing.wav"):
        with pytest.raises(AudioError) as raised:
            load_audio(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert name in str(raised.value)


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        load_audio(tmp_path / "pipe.wav")


def test_damaged_flac_is_an_error_not_noise(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 400_000), 44_100)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(AudioError, match=r"cut\.flac"):
        load_audio(path)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail_midway() -> None:
        with AudioWriter(tmp_path / "out.wav", 44_100) as writer:
            writer.write(tone(44_100))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert not list(tmp_path.iterdir())
    with pytest.raises(AudioError, match="expected one of"):
        Audio(tone(44_100), 44_100).save(tmp_path / "out.xyz")


def test_samples_above_full_scale_are_limited_and_said_so(tmp_path: Path) -> None:
    wave = 4 * tone(44_100, channels=2)
    wave[:, :15_000] *= 0.4  # 0.8 at most: not touched
    above = int((np.abs(wave) > 1).sum())
    with pytest.warns(ClippingWarning, match=f"{above} samples above full scale"):
        Audio(wave, 44_100).save(tmp_path / "loud.wav")
    saved = load_audio(tmp_path / "loud.wav").waveform
    assert saved.shape == wave.shape
    assert np.abs(saved).max() <= 1.0
    flat = (saved[0, 1:] == saved[0, :-1]) & (np.abs(saved[0, 1:]) > 0.99)
    assert flat.sum() < 0.001 * saved.shape[1]  # a flat cut would give thousands
    np.testing.assert_allclose(saved[:, :14_000], wave[:, :14_000], atol=2**-23)
    assert Audio(wave, 44_100).write(tmp_path / "again.flac") == above


def test_full_scale_is_written_as_it_is(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).choice([-1.0, -0.5, 0.5, 1 - 2**-23], (2, 5000))
    Audio(wave, 44_100).save(tmp_path / "full.wav")
    np.testing.assert_array_equal(load_audio(tmp_path / "full.wav").waveform, wave)


def test_float_files_hold_what_is_above_full_scale(tmp_path: Path) -> None:
    wave = 4 * tone(44_100)
    Audio(wave, 44_100).save(tmp_path / "loud.wav", sample_format="float")
    assert soundfile.info(tmp_path / "loud.wav").subtype == "FLOAT"
    np.testing.assert_array_equal(load_audio(tmp_path / "loud.wav").waveform, wave)
    with pytest.raises(ConfigError, match=r"only \.wav"):
        Audio(wave, 44_100).save(tmp_path / "loud.flac", sample_format="float")
    with pytest.raises(ConfigError, match="'int' or 'float'"):
        AudioWriter(tmp_path / "x.wav", 44_100, 1, "double")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["loud.wav"]


def test_waveforms_are_checked() -> None:
    with pytest.raises(AudioError, match="channels"):
        Audio(np.zeros((1, 1, 5)), 44_100)
    with pytest.raises(AudioError, match="NaN"):
        Audio(np.array([[np.inf]]), 44_100)


def test_finds_audio_and_leaves_hidden_files(tmp_path: Path) -> None:
    for name in ("a.WAV", "sub/b.mp3", ".hidden/c.wav", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in find_audio_files(tmp_path)] == ["a.WAV", "b.mp3"]


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "a\0b.wav", "loop.wav", "broken.wav"])
def test_names_that_lead_nowhere_are_audio_errors(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "broken.wav").symlink_to("nothing.wav")
    with pytest.raises(AudioError, match="no such audio file"):
        load_audio(tmp_path / name)


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.flac"))
    Audio(tone(44_100), 44_100).save(path)
    assert load_audio(path).seconds == 0.5
    path.write_bytes(b"no audio")
    with pytest.raises(AudioError) as raised:
        load_audio(path)
    assert str(raised.value).isprintable()


FULL_DISK = """
import os, resource, signal, sys
import numpy as np
from bandtok.signal.audio import Audio, AudioError
path = sys.argv[1]
sound = Audio(np.random.default_rng(0).uniform(-1, 1, (1, 20_000)), 44_100)
sound.save(path)
whole = os.path.getsize(path)
os.unlink(path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for room in {0, 10, whole // 2, whole - whole // 20, whole - 100, whole - 1}:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        sound.save(path)
    except AudioError as error:
        assert "File too large" in str(error), error
    else:
        sys.exit(f"{room} of {whole} bytes were enough")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    """libsndfile drops errors of the last bytes, which it writes when the file is closed."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / f"tone{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 9000), 44_100)
    data = bytearray(path.read_bytes())
    start = int.from_bytes(data[18:26], "big")
    data[18:26] = (start | 2**36 - 1).to_bytes(8, "big")
    path.write_bytes(data)
    for read in (probe_audio, load_audio):
        with pytest.raises(AudioError, match="its length is wrong"):
            read(path)


def test_the_most_compressible_sound_is_not_too_long(tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    soundfile.write(path, np.zeros(44_100 * 60), 44_100)
    assert load_audio(path).waveform.shape == (1, 44_100 * 60)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.int16, -32768, 32767),
        (np.dtype(">i2"), -32768, 32767),
        (np.int32, -(2**31), 2**31 - 1),
        (np.uint8, 0, 255),
    ],
)
def test_integers_are_scaled_by_their_type(dtype: type, low: int, high: int) -> None:
    middle = 128 if dtype is np.uint8 else 0
    audio = Audio(np.array([low, middle, high], dtype), 44_100)
    np.testing.assert_allclose(audio.waveform, [[-1, 0, 1]], atol=0.01)
    assert audio.waveform.dtype == np.float32
    assert np.abs(audio.waveform).max() <= 1


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (np.zeros((1, 5), np.int64), 44_100, "got a waveform of int64; expected floats"),
        (np.zeros((44_100, 2), np.float32), 44_100, "got 44100 channels; .* transpose"),
        (np.zeros((1, 5)), 0, "got sample rate 0; expected"),
        (np.zeros((1, 5)), "fast", "got sample rate 'fast'; expected"),
        (np.zeros((1, 5)), 44.1, "got sample rate 44.1; expected Hz, 1000 to"),
        ("a.wav", 44_100, "got a waveform of shape"),
    ],
)
def test_unusable_arrays_are_refused(waveform: Any, rate: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message) as caught:
        Audio(waveform, rate)
    assert "\n" not in str(caught.value)


def test_an_integer_array_is_the_same_as_its_file(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-20_000, 20_000, 1000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 44_100)
    loaded = load_audio(tmp_path / "a.wav").waveform
    np.testing.assert_array_equal(Audio(samples, 44_100).waveform, loaded)


def test_integers_kept_as_floats_are_not_mixed() -> None:
    integers = 20_000 * tone(8_000)
    with pytest.raises(AudioError, match="samples up to 10000; expected -1 to 1: divide"):
        Audio(integers, 8_000).mono()


def test_one_dimension_is_mono_and_tensors_are_taken() -> None:
    assert Audio(np.zeros(5, np.float32), 44_100).waveform.shape == (1, 5)
    tensor = torch.linspace(-1, 1, 6, requires_grad=True)
    np.testing.assert_array_equal(Audio(tensor, 8000).waveform[0], tensor.detach().numpy())


def test_audio_load_is_load_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    Audio(tone(2_000, channels=2), 44_100).save(path)
    for mono, rate in ((False, None), (True, 22_050)):
        loaded, expected = Audio.load(path, rate, mono), load_audio(path, rate, mono)
        np.testing.assert_array_equal(loaded.waveform, expected.waveform)
        assert loaded.sample_rate == expected.sample_rate


def test_audio_shows_itself() -> None:
    audio = Audio(np.zeros((2, 22_050), np.float32), 44_100)
    assert repr(audio) == "Audio(2 channels x 22050 samples, 0.5 s, 44100 Hz)"
    page = audio._repr_html_()
    assert "<img" in page
    content = base64.b64decode(page.split("wav;base64,")[1].split('"')[0])
    samples, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    assert (samples.shape, rate) == ((22_050, 2), 44_100)
    assert "<audio" not in Audio(np.zeros((1, 0), np.float32), 44_100)._repr_html_()
    assert "<audio" not in Audio(np.zeros((1, 700 * 8000), np.float32), 8000)._repr_html_()
