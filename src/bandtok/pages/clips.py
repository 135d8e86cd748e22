"""Sounds for a page: short excerpts, their bytes in a format browsers play, and their pictures.

    audio file -> PageClip;  ClipGroup -> Html with a player and pictures for each clip

Clips of a group are shown side by side, and their spectrograms share one scale of colors.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import soundfile

from bandtok.errors import AudioError
from bandtok.evaluation.html_page import Html, data_uri, escaped, paragraph, plot
from bandtok.evaluation.picture_scales import frequency_marks
from bandtok.evaluation.reconstruction import log_mel
from bandtok.evaluation.spectrogram_png import bare_mel, bare_tokens
from bandtok.signal.audio import Audio, probe_audio, stream_audio
from bandtok.signal.mel import MelConfig
from bandtok.tokens.grid import TokenGrid

_FADE_SECONDS = 0.02
_OPUS_RATE = 48_000
_OPUS_LEVEL = 0.6  # of libsndfile: about 110 kbit/s mono
_FLAC_RATES = (8_000, 48_000)  # that every browser plays; others are resampled
_BLOCK = 1 << 14
_MARK_ROOM = 0.11  # of a spectrogram's height: a line of text
_BLIND = '<p><button type="button" class="blind" aria-pressed="false">Hide names</button></p>'


class Coding(StrEnum):
    """How sounds are stored in a page: without loss, or at about 110 kbit/s a channel."""

    FLAC = "flac"
    OPUS = "opus"


@dataclass(frozen=True, kw_only=True)
class PageClip:
    """One sound.

    Attributes:
        label: system or title.
        note: a line next to the label; "" for none.
        audio: the sound; None where it is missing.
        grid: its tokens, for as long as the sound is; None draws none.
        picture: PNG or SVG bytes and their media type, shown where there is no grid.
        missing: why there is no sound or picture; shown on the page.
        measures: formatted values by name, listed below the pictures.
    """

    label: str
    note: str = ""
    audio: Audio | None = None
    grid: TokenGrid | None = None
    picture: tuple[bytes, str] | None = None
    missing: str = ""
    measures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ClipGroup:
    """Clips to be compared, under one title.

    Attributes:
        title: heading.
        clips: side by side.
        note: a line below the heading; "" for none.
        switchable: versions of one sound, of equal length: the reader switches between them at the
            same position, by button or key, and can hide their names.
    """

    title: str
    clips: Sequence[PageClip]
    note: str = ""
    switchable: bool = False


def load_beginning(path: Path, seconds: float) -> tuple[Audio, str]:
    """Read at most `seconds` of a file, faded out where it continues.

    Returns:
        the sound at the file's own rate with at most two channels, and a line about what was
        left out, "" if nothing was.

    Raises:
        AudioError: if it cannot be read or holds nothing.
    """
    info = probe_audio(path)
    wanted = round(seconds * info.sample_rate)
    blocks, held = [], 0
    for block in stream_audio(path, info.sample_rate, mono=info.channels > 2):
        blocks.append(block[:, : wanted - held])
        held += blocks[-1].shape[1]
        if held >= wanted:
            break
    if not held:
        raise AudioError(f"{path.name!r} holds no sound")
    waveform = np.concatenate(blocks, axis=1)
    if info.samples <= held:
        return Audio(waveform, info.sample_rate), ""
    shown = f"the first {round(held / info.sample_rate, 1):g} s of {round(info.seconds, 1):g} s"
    return Audio(faded_out(waveform, info.sample_rate), info.sample_rate), shown


def faded_out(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return float [channels, samples] with its last 20 ms faded to nothing."""
    length = min(round(_FADE_SECONDS * sample_rate), waveform.shape[1])
    faded = waveform.copy()
    if length:
        faded[:, -length:] *= np.linspace(1, 0, length, dtype=np.float32)
    return faded


def encode_audio(audio: Audio, coding: Coding) -> bytes:
    """Return the bytes of a file, 16 bit FLAC or Ogg Opus; samples beyond ±1 are clipped."""
    low, high = _FLAC_RATES
    if coding is Coding.OPUS or not low <= audio.sample_rate <= high:
        audio = audio.resampled(_OPUS_RATE)
    subtype, level = ("OPUS", _OPUS_LEVEL) if coding is Coding.OPUS else ("PCM_16", None)
    content = io.BytesIO()
    with soundfile.SoundFile(
        content,
        "w",
        audio.sample_rate,
        audio.waveform.shape[0],
        subtype,
        format="OGG" if coding is Coding.OPUS else "FLAC",
        compression_level=level,
    ) as file:
        samples = np.clip(audio.waveform, -1.0, 1.0).T
        for start in range(0, len(samples), _BLOCK):
            file.write(samples[start : start + _BLOCK])
    return content.getvalue()


def groups_html(groups: Sequence[ClipGroup], coding: Coding) -> list[Html]:
    """Return groups one below the other, or in columns where none has two clips to compare."""
    made = [group_html(group, coding) for group in groups]
    if len(made) < 2 or any(len(group.clips) > 1 for group in groups):
        return made
    return [Html(f'<div class="singles">{"".join(made)}</div>')]


def group_html(group: ClipGroup, coding: Coding) -> Html:
    """Return a group's heading, and a player with pictures for each of its clips."""
    config = MelConfig()
    mels = [_mel(clip.audio, config) if clip.audio else None for clip in group.clips]
    top = max((float(mel.max()) for mel in mels if mel is not None), default=config.silence)
    figures = "".join(
        _figure(clip, group, mel, top, coding) for clip, mel in zip(group.clips, mels, strict=True)
    )
    note = paragraph(group.note, "soft") if group.note else ""
    kind = "group switchable" if group.switchable else "group"
    blind = _BLIND if sum(clip.audio is not None for clip in group.clips) > 1 else ""
    return Html(
        f'<div class="{kind}"><h3>{escaped(group.title)}</h3>{note}'
        f"{blind if group.switchable else ''}"
        f'<div class="clips">{figures}</div></div>'
    )


def _figure(
    clip: PageClip, group: ClipGroup, mel: np.ndarray | None, top: float, coding: Coding
) -> str:
    what = f"{clip.label}, {group.title}"
    note = f'<span class="soft">{escaped(clip.note)}</span>' if clip.note else ""
    name = f"<strong>{escaped(clip.label)}</strong>"
    if group.switchable and clip.audio:
        name = f'<button type="button" class="version">{name}</button>'
    parts = [f"<figcaption>{name} {note}</figcaption>"]
    if clip.audio:
        parts.append(_player(clip.audio, what, coding))
    if clip.missing:
        parts.append(paragraph(clip.missing, "note"))
    if clip.audio and mel is not None:
        parts.append(_spectrogram(mel, top, clip.audio.seconds, what))
    if clip.grid and clip.grid.codes.size:
        parts.append(_token_grid(clip.grid, what))
    if clip.audio and mel is not None:
        parts.append(_time_axis(clip.audio.seconds))
    if clip.measures:
        parts.append(_measure_list(clip.measures))
    if clip.picture:
        parts.append(plot(*clip.picture, f"Picture of {what}"))
    return f'<figure class="clip">{"".join(parts)}</figure>'


def _measure_list(measures: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
        for name, value in measures.items()
    )
    return f'<dl class="measures">{items}</dl>'


def _player(audio: Audio, what: str, coding: Coding) -> str:
    kind = "audio/ogg" if coding is Coding.OPUS else "audio/flac"
    source = data_uri(encode_audio(audio, coding), kind)
    label = escaped(f"{what}, {audio.seconds:.1f} s")
    return f'<audio controls preload="metadata" aria-label="{label}" src="{source}"></audio>'


def _spectrogram(mel: np.ndarray, top: float, seconds: float, what: str) -> str:
    config = MelConfig()
    marks = _frequency_texts(config)
    alt = f"Mel spectrogram of {what}: {seconds:.1f} s, 0 to {config.f_max / 1000:.0f} kHz"
    return _strip("mel", bare_mel(mel, top=top, bottom=config.silence), alt, seconds, marks)


def _frequency_texts(config: MelConfig) -> dict[str, float]:
    """Return round frequencies and their heights from the top, leaving room for each."""
    marks: dict[str, float] = {}
    for hertz, place in reversed(frequency_marks(config).items()):
        height = 1 - place / config.n_mels
        if not marks or height - max(marks.values()) >= _MARK_ROOM:
            marks[f"{hertz // 1000}k" if hertz >= 1000 else f"{hertz}"] = height
    return marks


def _token_grid(grid: TokenGrid, what: str) -> str:
    distinct = len(np.unique(grid.codes))
    alt = (
        f"Token grid of {what}: {grid.num_rows} rows by {grid.num_frames} frames, "
        f"{distinct:,} different codes among {grid.codes.size:,}"
    )
    seconds = grid.num_frames * grid.samples_per_frame / grid.sample_rate
    marks = {str(row): 1 - (row + 0.5) / grid.num_rows for row in (0, grid.num_rows - 1)}
    return _strip("tokens", bare_tokens(grid), alt, seconds, marks)


def _strip(kind: str, png: bytes, alt: str, seconds: float, marks: dict[str, float]) -> str:
    """Return a picture of time to the right, marks on its left and a line to be moved over it.

    Args:
        marks: text and its height, as a share of the picture's from its top.
    """
    texts = "".join(
        f'<text x="100%" y="{100 * place:.1f}%" text-anchor="end">{escaped(text)}</text>'
        for text, place in marks.items()
    )
    return (
        f'<div class="strip {kind}"><svg class="axis" aria-hidden="true">{texts}</svg>'
        f'<div class="canvas" data-seconds="{seconds:.4f}"><img alt="{escaped(alt)}" '
        f'src="{data_uri(png, "image/png")}"><span class="playhead" hidden></span></div></div>'
    )


def _time_axis(seconds: float) -> str:
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10) if seconds / step <= 7), 30)
    places = [place for place in np.arange(0, seconds, step) if place / seconds < 0.97]
    texts = "".join(
        f'<text x="{100 * place / seconds:.2f}%" y="75%" text-anchor="'
        f'{"middle" if place else "start"}">{place:g}{"" if place else " s"}</text>'
        for place in places
    )
    return f'<div class="strip time"><span></span><svg aria-hidden="true">{texts}</svg></div>'


def _mel(audio: Audio, config: MelConfig) -> np.ndarray | None:
    """Return the ln-mel of a sound, None where it is too short for one."""
    waveform = audio.mono().resampled(config.sample_rate).waveform[0]
    if len(waveform) <= config.padding:
        return None
    mel = log_mel(config)(waveform)
    return mel if mel.size else None
