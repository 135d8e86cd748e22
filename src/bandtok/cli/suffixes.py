"""The file suffixes that the commands read and write."""

from __future__ import annotations

from bandtok.signal.audio import AUDIO_SUFFIXES
from bandtok.tokens.token_file import TOKEN_FILE_SUFFIX

AUDIO_INPUTS = AUDIO_SUFFIXES
AUDIO_OUTPUTS = frozenset({".wav", ".flac", ".ogg", ".mp3"})
TOKEN_SUFFIX = TOKEN_FILE_SUFFIX
