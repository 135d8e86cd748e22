"""Clips made for the page: reconstructions of recordings, and generated music by prompt.

    folder of audio, tokenizers -> groups: the original and what each tokenizer makes of it
    folders of generated clips, prompts -> groups: one a prompt, folders side by side

A file that cannot be used leaves a note in its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import AudioError, BandTokError, DataError
from bandtok.evaluation.excerpts import spread
from bandtok.evaluation.prompts import prompt_numbers
from bandtok.evaluation.reconstruction import mel_distance
from bandtok.pages.clips import ClipGroup, PageClip, load_beginning
from bandtok.signal.audio import Audio, probe_audio, stream_audio
from bandtok.signal.find_files import AUDIO_SUFFIXES, find_audio_files
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.token_file import TOKEN_FILE_SUFFIX

Progress = Callable[[int, int], None]
_SLACK = 0.01
"""Frames; so that a sound a few samples longer than its tokens takes no frame more."""


def reconstruction_groups(
    source: Path,
    tokenizers: Mapping[str, Tokenizer],
    *,
    files: int,
    seconds: float,
    progress: Progress | None = None,
) -> list[ClipGroup]:
    """Reconstruct excerpts from the middle of recordings.

    Args:
        source: an audio file, or a folder of which `files` are taken, spread evenly.
        tokenizers: at least one, by the label it gets on the page.
        files: at most this many.
        seconds: length of an excerpt, to the nearest token frame of the first tokenizer.
        progress: called with (files done, all).

    Returns:
        a group for each file, the original first.

    Raises:
        DataError: if the folder holds no audio.
    """
    paths = [source] if source.is_file() else _audio_below(source)
    if not paths:
        raise DataError(f"no audio in {source}; expected {', '.join(sorted(AUDIO_SUFFIXES))}")
    chosen = [paths[index] for index in spread(paths, files)]
    groups = []
    for number, path in enumerate(chosen):
        title = path.name if source.is_file() else path.relative_to(source).as_posix()
        groups.append(ClipGroup(title=title, clips=_reconstructed(path, tokenizers, seconds)))
        if progress:
            progress(number + 1, len(chosen))
    return groups


def _audio_below(folder: Path) -> list[Path]:
    return find_audio_files(folder) if folder.is_dir() else []


def generated_groups(
    folders: Mapping[str, Path],
    prompts: Sequence[str] | None,
    *,
    clips: int,
    seconds: float,
) -> list[ClipGroup]:
    """Gather generated clips by prompt, with their tokens where a .btk file lies beside them.

    Args:
        folders: of audio, by the label they get on the page.
        prompts: the prompts, with names as `bandtok generate --prompts` gives; None takes
            files of the same name to belong together.
        clips: at most this many groups, spread evenly.
        seconds: clips are cut to this length.

    Raises:
        DataError: if a folder holds no audio, or names do not say which prompt a clip is of.
    """
    found: dict[tuple[int, int] | str, dict[str, Path]] = defaultdict(dict)
    for label, folder in folders.items():
        for key, path in _keyed(folder, prompts).items():
            found[key][label] = path
    keys = sorted(found, key=lambda key: key if isinstance(key, str) else f"{key[0]:09}{key[1]:09}")
    groups = []
    for key in (keys[index] for index in spread(keys, clips)):
        title = key if isinstance(key, str) else _prompt_title(prompts or [], *key)
        members = [_generated(path, label, seconds) for label, path in found[key].items()]
        groups.append(ClipGroup(title=title, clips=members))
    return groups


def load_grid(path: Path, seconds: float) -> TokenGrid:
    """Read the frames of a token file that lie within `seconds`, whole if it is no longer.

    Raises:
        TokenFileError: if it is damaged. OSError: if it cannot be opened.
    """
    grid = TokenGrid.load(path)
    frames = max(ceil(seconds * grid.frame_rate - _SLACK), 1)
    return grid if frames >= grid.num_frames else grid.part(0, frames)


def load_middle(path: Path, samples: int, sample_rate: int) -> tuple[Audio, str]:
    """Read `samples` from the middle of a file as mono, fewer only if it holds fewer.

    Returns:
        the sound, and a line that says from where it is.

    Raises:
        AudioError: if it cannot be read or holds less than a tenth of a second.
    """
    info = probe_audio(path)
    start = max(info.samples - round(samples / sample_rate * info.sample_rate), 0) // 2
    blocks, held = [np.zeros((1, 0), np.float32)], 0
    for block in stream_audio(path, sample_rate, mono=True, start=start):
        blocks.append(block[:, : samples - held])
        held += blocks[-1].shape[1]
        if held >= samples:
            break
    if held < sample_rate // 10:
        raise AudioError(f"{path.name!r} holds less than a tenth of a second")
    mixed = ", mixed to mono" if info.channels > 1 else ""
    where = f"from {start / info.sample_rate:.1f} s{mixed}"
    return Audio(np.concatenate(blocks, axis=1), sample_rate), where


def _keyed(folder: Path, prompts: Sequence[str] | None) -> dict[tuple[int, int] | str, Path]:
    """Return the folder's clips by prompt and number of the clip, or by name without prompts."""
    paths = _audio_below(folder)
    if not paths:
        raise DataError(f"no audio in {folder}; expected generated clips")
    if prompts is None:
        return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    seen: dict[int, int] = defaultdict(int)
    keyed: dict[tuple[int, int] | str, Path] = {}
    numbers = prompt_numbers([path.name for path in paths], len(prompts))
    for number, path in zip(numbers, paths, strict=True):
        keyed[number, seen[number]] = path
        seen[number] += 1
    return keyed


def _prompt_title(prompts: Sequence[str], number: int, clip: int) -> str:
    return f"“{prompts[number]}”" + (f", clip {clip + 1}" if clip else "")


def _generated(path: Path, label: str, seconds: float) -> PageClip:
    tokens = path.with_suffix(TOKEN_FILE_SUFFIX)
    try:
        audio, note = load_beginning(path, seconds)
    except (BandTokError, OSError) as error:
        return PageClip(label=label, missing=f"Not playable: {error}")
    clip = PageClip(label=label, audio=audio, note=note)
    if not tokens.is_file():
        return clip
    try:
        grid = load_grid(tokens, audio.seconds)
    except (BandTokError, OSError) as error:
        return replace(clip, missing=f"Tokens cannot be shown: {error}")
    return replace(clip, grid=grid, note=", ".join(filter(None, (note, _settings(grid)))))


def _settings(grid: TokenGrid) -> str:
    """Return seed, tempo and guidance from the provenance of a generated grid; "" without."""
    provenance = grid.extra.get("provenance")
    if not isinstance(provenance, dict):
        return ""
    settings = provenance.get("settings")
    found = {"seed": provenance.get("seed")} | (settings if isinstance(settings, dict) else {})
    shown = ("seed", "bpm", "guidance_scale", "beat_guidance_scale", "num_candidates")
    return ", ".join(
        f"{name.replace('_', ' ')} {found[name]}"
        for name in shown
        if isinstance(found.get(name), int | float)
    )


def _reconstructed(
    path: Path, tokenizers: Mapping[str, Tokenizer], seconds: float
) -> list[PageClip]:
    """Return the original and its reconstructions, all of one length and rate."""
    first = next(iter(tokenizers.values()))
    frames = max(round(seconds * first.frame_rate), 1)
    try:
        original, note = load_middle(path, frames * first.samples_per_frame, first.sample_rate)
    except (BandTokError, OSError) as error:
        return [PageClip(label="original", missing=f"Not playable: {error}")]
    clips = [PageClip(label="original", audio=original, note=note)]
    for label, tokenizer in tokenizers.items():
        grid = tokenizer.encode(original)
        audio = tokenizer.decode(grid)
        distance = mel_distance(original.resampled(audio.sample_rate), audio)
        note = f"{grid.bit_rate_bps / 1000:.2f} kbit/s, mel distance {distance.all_bins:.3f}"
        clips.append(PageClip(label=label, note=note, audio=audio, grid=grid))
    return clips
