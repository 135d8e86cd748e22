"""The server's calls of the model: the one module here that uses the public Python functions.

bytes of a piece, settings -> Clip -> bytes of a file, or JSON
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import bandtok
from bandtok.api.generation_config import CONFIG_FIELDS, EDIT_FIELDS, GenerationConfig
from bandtok.api.tokenizer import Progress
from bandtok.errors import AudioError, BandTokError, ConfigError
from bandtok.provenance import of_extra
from bandtok.server.jobs import Canceled, Job, TimedOut
from bandtok.server.preview import preview
from bandtok.signal.audio import probe_audio
from bandtok.signal.loudness import normalize_loudness
from bandtok.signal.mel import mel_bin_centers_hz
from bandtok.signal.true_peak import limit_true_peak
from bandtok.tokens.region import band_edges_hz
from bandtok.tokens.token_format import MAGIC

FORMATS = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "btk": "application/octet-stream",
}
_FOLDER_PREFIX = "bandtok-serve-"


class Engine:
    """The model and a folder for temporary files, which `close` removes.

    Args:
        model: used by one thread at a time.
        name: what clients know it by.
        max_audio_seconds: greatest length of a piece.
    """

    def __init__(self, model: bandtok.MusicModel, name: str, max_audio_seconds: float) -> None:
        self.model, self.name, self._max_seconds = model, name, max_audio_seconds
        _remove_left_folders()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-"))

    def close(self) -> None:
        """Remove the temporary files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def describe(self) -> dict[str, Any]:
        """Return what a client needs to draw a grid and to fill in a form."""
        tokenizer = self.model.tokenizer
        edges = band_edges_hz(
            mel_bin_centers_hz(tokenizer.config.mel),
            tokenizer.num_bands,
            tokenizer.sample_rate / 2,
        )
        return {
            "model": self.name,
            "version": bandtok.__version__,
            "sample_rate": tokenizer.sample_rate,
            "samples_per_frame": tokenizer.samples_per_frame,
            "frame_rate": tokenizer.frame_rate,
            "num_bands": tokenizer.num_bands,
            "codebook_size": tokenizer.codebook_size,
            "band_edges_hz": [round(float(edge), 1) for edge in edges],
            "rows_are_bands": tokenizer.config.rows_are_bands,
            "defaults": {field.name: field.default for field in fields(GenerationConfig)},
        }

    def generate(
        self,
        job: Job,
        prompt: str,
        duration: float,
        seeds: Sequence[int],
        overrides: dict[str, Any],
        source: bytes | None = None,
        stream: bool = False,
    ) -> list[bandtok.Clip]:
        """Generate a clip per seed, or continue `source`; `stream` emits the sound of one."""
        start = None if source is None else self.grid(job, source)
        config = replace(GenerationConfig(), **_known(overrides, CONFIG_FIELDS))
        if stream and (config.loop or config.fade_out):
            raise ConfigError("got stream with loop or fade_out; expected one of both")
        if len(seeds) > 1:
            return self.model.generate_batch(
                [prompt] * len(seeds),
                duration,
                list(seeds),
                config,
                continue_from=start,
                on_progress=job.report,
            )

        def write(on_column: Callable[[np.ndarray], None] | None = None) -> bandtok.Clip:
            return self.model.generate(
                prompt,
                duration,
                seeds[0],
                config,
                continue_from=start,
                on_progress=job.report,
                on_column=on_column,
            )

        if not stream:
            return [write()]
        skip_frames = 0 if start is None else start.num_frames
        return [preview(self.model.tokenizer, job, write, config.loudness_lufs, skip_frames)]

    def prepend(
        self,
        job: Job,
        prompt: str,
        duration: float,
        seed: int,
        overrides: dict[str, Any],
        source: bytes,
    ) -> bandtok.Clip:
        """Generate what comes before a piece: an edit of new frames at its beginning."""
        grid = self.grid(job, source).mono()
        assert grid.num_samples is not None
        frames = max(round(duration * grid.frame_rate), 1)
        longer = replace(
            grid,
            codes=np.pad(grid.codes, ((0, 0), (frames, 0))),
            num_samples=grid.num_samples + frames * grid.samples_per_frame,
        )
        region = bandtok.Region(seconds=(0.0, frames / grid.frame_rate))
        clip = self._edited(job, longer, [region], prompt, seed, overrides)
        return _at_loudness(clip, overrides.get("loudness_lufs"))

    def edit(
        self,
        job: Job,
        prompt: str,
        regions: Sequence[str],
        seeds: Sequence[int],
        overrides: dict[str, Any],
        source: bytes,
    ) -> list[bandtok.Clip]:
        """Regenerate regions of a piece, once per seed.

        With a loudness, the gain is the one that brings the *source* to it, so that what was not
        regenerated keeps its level.
        """
        parsed = [bandtok.Region.parse(region) for region in regions]
        grid = self.grid(job, source)
        gain = self._gain(grid, overrides.get("loudness_lufs"))
        clips = (self._edited(job, grid, parsed, prompt, seed, overrides) for seed in seeds)
        return [_amplified(clip, gain) for clip in clips]

    def reconstruct(self, job: Job, source: bytes) -> bandtok.Clip:
        """Encode and decode a piece."""
        grid = self.grid(job, source)
        return bandtok.Clip(audio=self.model.tokenizer.decode(grid, job.report), grid=grid)

    def decode(self, job: Job, source: bytes, loudness: float | None) -> bandtok.Clip:
        """Decode tokens, at a loudness in LUFS if one is given."""
        if not source.startswith(MAGIC):
            raise AudioError("got a body that is not a .btk file; expected tokens")
        return _at_loudness(self.reconstruct(job, source), loudness)

    def grid(self, job: Job, source: bytes) -> bandtok.TokenGrid:
        """Return the tokens of a piece: the bytes of a .btk file or of an audio file.

        Raises:
            BandTokError: if it cannot be read, is too long, or belongs to another model.
        """
        job.check()
        if not source:
            raise AudioError("got an empty body; expected an audio file or a .btk file")
        tokens = source.startswith(MAGIC)
        with self._file(".btk" if tokens else ".audio", source) as path:
            try:
                if not tokens:
                    self._check_length(probe_audio(path).seconds)
                    return self.model.tokenizer.encode(path, _relative(job.report))
                grid = bandtok.TokenGrid.load(path)
                self._check_length(grid.seconds)
                self.model.tokenizer.check_grid(grid)
                return grid
            except (Canceled, TimedOut):
                raise
            except BandTokError as error:
                message = str(error).replace(repr(path.name), path.name)
                raise type(error)(message.replace(path.name, "the upload")) from None

    def file(self, music: bandtok.Clip | bandtok.TokenGrid, suffix: str) -> bytes:
        """Return music as a file of a format in `FORMATS`; a grid only as "btk"."""
        with self._file(f".{suffix}") as path:
            if isinstance(music, bandtok.TokenGrid):
                music.save(path)
            elif suffix == "btk":
                music.grid.save(path)
            else:
                music.audio.write(path)
            return path.read_bytes()

    def json(self, clip: bandtok.Clip) -> dict[str, Any]:
        """Return a clip as JSON: codes row by row, lowest band first, both files in base64, and the
        settings that it was made with.
        """
        grid = clip.grid
        return {
            "seconds": clip.audio.seconds,
            "num_bands": grid.num_bands,
            "num_frames": grid.num_frames,
            "codes": grid.codes[: grid.num_bands].ravel().tolist(),
            "settings": (of_extra(grid.extra) or {}).get("settings", {}),
            "audio": base64.b64encode(self.file(clip, "wav")).decode("ascii"),
            "tokens": base64.b64encode(self.file(clip, "btk")).decode("ascii"),
        }

    def _edited(
        self,
        job: Job,
        grid: bandtok.TokenGrid,
        regions: Sequence[bandtok.Region],
        prompt: str,
        seed: int,
        overrides: dict[str, Any],
    ) -> bandtok.Clip:
        sampling = _known(overrides, (*EDIT_FIELDS, "loudness_lufs"))
        sampling.pop("loudness_lufs", None)
        return self.model.edit(grid, regions, prompt, seed, on_progress=job.report, **sampling)

    def _gain(self, grid: bandtok.TokenGrid, loudness: float | None) -> float:
        if loudness is None:
            return 1.0
        decoded = self.model.tokenizer.decode(grid)
        normalized = normalize_loudness(decoded, loudness)
        power = float(np.square(decoded.waveform).sum())
        return float((decoded.waveform * normalized.waveform).sum()) / power if power else 1.0

    def _check_length(self, seconds: float) -> None:
        if seconds > self._max_seconds:
            raise AudioError(f"got {seconds:.0f} s; expected at most {self._max_seconds:.0f} s")

    @contextmanager
    def _file(self, suffix: str, content: bytes | None = None) -> Iterator[Path]:
        path = self._folder / f"{secrets.token_hex(8)}{suffix}"
        try:
            if content is not None:
                path.write_bytes(content)
            yield path
        finally:
            path.unlink(missing_ok=True)


def _amplified(clip: bandtok.Clip, gain: float) -> bandtok.Clip:
    if gain == 1.0:
        return clip
    audio = clip.audio
    waveform = limit_true_peak(audio.waveform * np.float32(gain), audio.sample_rate)
    return replace(clip, audio=replace(audio, waveform=waveform))


def _at_loudness(clip: bandtok.Clip, loudness: float | None) -> bandtok.Clip:
    if loudness is None:
        return clip
    return replace(clip, audio=normalize_loudness(clip.audio, loudness))


def _known(overrides: dict[str, Any], allowed: Sequence[str]) -> dict[str, Any]:
    for name in overrides:
        if name not in allowed:
            raise ConfigError(f"got unknown setting {name!r}; expected {', '.join(allowed)}")
    return dict(overrides)


def _relative(report: Progress) -> Progress:
    """Report encoding as percent: its number of frames is only an estimate."""
    return lambda done, total: report(100 * done // max(total, 1), 100)


def _remove_left_folders() -> None:
    """Remove the folders of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*-*"):
        owner = folder.name.removeprefix(_FOLDER_PREFIX).partition("-")[0]
        try:
            os.kill(int(owner), 0)
        except (ProcessLookupError, OverflowError):
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, OSError):
            continue
