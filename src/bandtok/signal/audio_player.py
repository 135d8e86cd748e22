"""A player for notebooks: an audio element that holds the sound itself."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import soundfile

if TYPE_CHECKING:
    from bandtok.signal.audio import Audio

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
    return f'<div>{label}<br><audio controls src="data:audio/wav;base64,{data}"></audio></div>'
