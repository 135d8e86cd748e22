"""A player with a spectrogram for notebooks, self-contained HTML."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import soundfile

from bandtok.colormaps import colors
from bandtok.signal.mel import LogMel, MelConfig

if TYPE_CHECKING:
    from bandtok.signal.audio import Audio

MAX_PICTURE_COLUMNS = 1200
LEVEL_RANGE = 8.0
"""Of the spectrogram's colors, in natural-log units: 70 dB."""
MAX_PLAYER_SECONDS = 600.0
"""Longer audio is not embedded: ten minutes of mono are 70 MB in the page."""


def player_html(audio: Audio) -> str:
    """Return an HTML player; only a line of text if there are no samples, or too many."""
    label = f"<code>{html.escape(repr(audio))}</code>"
    if not 0 < audio.seconds <= MAX_PLAYER_SECONDS:
        return f"<div>{label}</div>"
    content = io.BytesIO()
    samples = audio.waveform.T.clip(-1.0, 1.0)
    soundfile.write(content, samples, int(audio.sample_rate), format="WAV", subtype="PCM_16")
    data = base64.b64encode(content.getvalue()).decode("ascii")
    player = f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
    return f"<div>{label}<br>{_picture_html(audio)}{player}</div>"


def _picture_html(audio: Audio) -> str:
    """Return the ln-mel of the mean of the channels as a picture, or nothing for short audio."""
    from PIL import Image  # noqa: PLC0415  # slow to import, and only needed here

    rate = int(audio.sample_rate)
    hop = max(512, audio.waveform.shape[1] // MAX_PICTURE_COLUMNS)
    size = 1 << (2 * hop - 1).bit_length()
    if audio.waveform.shape[1] < size:
        return ""
    config = MelConfig(
        sample_rate=rate, n_fft=size, win_length=size, hop_length=hop, n_mels=80, f_max=rate / 2
    )
    mel = LogMel(config)(audio.waveform.mean(axis=0))
    share = 1 + (mel[::-1] - mel.max()) / LEVEL_RANGE
    content = io.BytesIO()
    Image.fromarray(colors(share, "magma")).save(content, format="PNG")
    source = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
    return f'<img alt="spectrogram" style="width:100%;height:8em" src="{source}"><br>'
