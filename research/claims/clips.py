"""What is put beside a result to listen to: short clips as FLAC with a picture and tokens each.

    tokens -> mel -> Griffin-Lim -> OUT/NAME/x.flac, x.png, x.btk

Every system's mel is made audible by the same Griffin-Lim, so that no vocoder that learned one
system's mels favors it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import manifest_folder
from bandtok.evaluation.corpus import select_tracks
from bandtok.evaluation.excerpts import choose_excerpts, load_excerpt, spread
from bandtok.evaluation.plots import plot_clip
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid
from bandtok.vocoder.griffin_lim import griffin_lim
from research.claims.results import Clip
from research.claims.run_store import RunStore

RATE = 44_100
_LOUDEST = 0.99


def sound_of(codes: np.ndarray, tokenizer: Tokenizer, rounds: int) -> Audio:
    """Return what codes [rows, frames] sound like."""
    mel = tokenizer.codec.decode_mel(codes.astype(np.int64))
    waveform = griffin_lim(mel, tokenizer.config.mel, num_iterations=rounds)
    waveform /= max(float(np.abs(waveform).max()) / _LOUDEST, 1.0)
    return Audio(waveform, tokenizer.sample_rate)


def keep_clip(
    folder: Path,
    name: str,
    key: str,
    audio: Audio,
    grid: TokenGrid | None,
    *,
    seconds: float,
    rows_are_bands: bool = True,
    title: str,
    group: str,
    system: str,
    prompt: str = "",
) -> Clip:
    """Write the beginning of a recording, its picture and its tokens below `folder`/`name`.

    Args:
        folder: of results.
        name: of the experiment.
        key: name of the files.
        audio: what is sound.
        grid: its tokens, drawn below the mel; None for a recording.
        seconds: length that is kept.
        rows_are_bands, title, group, system, prompt: see `plot_clip` and `Clip`.
    """
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    sound = Audio(audio.waveform[:, : round(seconds * audio.sample_rate)], audio.sample_rate)
    sound.save(target / f"{key}.flac")
    shown = None
    if grid is not None:
        frames = -(-sound.waveform.shape[1] // grid.samples_per_frame)
        shown = grid.part(0, min(frames, grid.num_frames))
        shown.save(target / f"{key}.btk")
    plot_clip(target / f"{key}.png", sound, shown, title=title, rows_are_bands=rows_are_bands)
    return Clip(
        title=title,
        group=group,
        system=system,
        prompt=prompt,
        audio=f"{name}/{key}.flac",
        picture=f"{name}/{key}.png",
        tokens="" if shown is None else f"{name}/{key}.btk",
    )


def listened_excerpts(store: RunStore, listen: Path | None, count: int) -> list[tuple[str, Audio]]:
    """Return names and recordings to reconstruct, at most `count`.

    Args:
        store: corpus and scale.
        listen: folder of audio to take them from; None takes the corpus's held-out music.
        count: how many.
    """
    source = store.corpus.data if listen is None else listen
    split = store.corpus.held_out if listen is None else None
    return _excerpts(source, split, count, store.scale.kept_seconds)


def held_out_excerpts(store: RunStore, count: int, seconds: float) -> list[Audio]:
    """Return at most `count` excerpts of held-out music, spread evenly."""
    found = _excerpts(store.corpus.data, store.corpus.held_out, count, seconds)
    return [audio for _, audio in found]


def _excerpts(
    source: Path, split: str | None, count: int, seconds: float
) -> list[tuple[str, Audio]]:
    tracks = select_tracks(source, split)
    excerpts = choose_excerpts(tracks, seconds, -(-count // len(tracks)))
    return [
        (one.track.title or one.track.path, load_excerpt(one, manifest_folder(source), RATE))
        for one in (excerpts[index] for index in spread(excerpts, count))
    ]
