"""The file suffixes that the commands read and write.

A test compares them with the package's own; those need numpy and soundfile, which help
must not load.
"""

from __future__ import annotations

AUDIO_INPUTS = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)
AUDIO_OUTPUTS = frozenset({".wav", ".flac", ".ogg", ".mp3"})
TOKEN_SUFFIX = ".btk"
