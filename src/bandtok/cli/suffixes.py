"""The file suffixes that the commands read and write."""

from __future__ import annotations

from bandtok.signal.find_files import AUDIO_SUFFIXES, UNREADABLE_SUFFIXES

AUDIO_INPUTS = AUDIO_SUFFIXES | UNREADABLE_SUFFIXES
AUDIO_OUTPUTS = frozenset({".wav", ".flac", ".ogg", ".mp3"})
TOKEN_SUFFIX = ".btk"
