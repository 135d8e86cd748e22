"""Every error the package raises on purpose.

    BandTokError
    ├── AudioError            an audio file or waveform that cannot be used
    ├── GridError             a token grid of the wrong shape or range
    ├── TokenFileError        a .btk file that cannot be trusted
    │   ├── NotATokenFile
    │   ├── UnsupportedVersion
    │   ├── Truncated
    │   ├── ChecksumMismatch
    │   ├── ModelMismatch
    │   └── TokenOutOfRange
    ├── ConfigError           a setting outside its range
    ├── CheckpointError       weights or training state that do not fit or are damaged
    ├── DataError             a corpus, manifest or shard that cannot be used
    ├── TrainingError         a run that cannot go on (for example a non-finite loss)
    └── MissingDependency     an optional extra that is not installed

Messages are one line: what was got, what was expected, what to do.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """Return `text` as one line that a terminal shows and does not obey.

    File names and headers may hold line breaks, control sequences and half surrogates. White space
    becomes a blank; the rest becomes escapes such as backslash, x, 1, b.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")


class BandTokError(Exception):
    """Base of every error the package raises on purpose; its message is one printable line."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(printable(arg) if isinstance(arg, str) else arg for arg in args))


class AudioError(BandTokError, ValueError):
    """An audio file or waveform cannot be used."""


class GridError(BandTokError, ValueError):
    """A token grid has the wrong shape, type or range."""


class TokenFileError(BandTokError, ValueError):
    """A .btk file cannot be trusted."""


class NotATokenFile(TokenFileError):
    """The file does not begin like a .btk file."""


class UnsupportedVersion(TokenFileError):
    """The file has a major version this reader does not know."""


class Truncated(TokenFileError):
    """The file ends before its declared content does."""


class ChecksumMismatch(TokenFileError):
    """Some bytes of the file have changed since it was written."""


class ModelMismatch(TokenFileError):
    """The tokens were made by another model than the one that decodes them."""


class TokenOutOfRange(TokenFileError):
    """A token id is not in the codebook."""


class ConfigError(BandTokError, ValueError):
    """A setting is outside its range."""


class CheckpointError(BandTokError, ValueError):
    """Weights or training state do not fit, or are damaged or missing."""


class DataError(BandTokError, ValueError):
    """A corpus, manifest or shard cannot be used."""


class TrainingError(BandTokError, RuntimeError):
    """A training run cannot go on."""


class MissingDependency(BandTokError, ImportError):
    """An optional extra is not installed."""


class BandTokWarning(UserWarning):
    """Base of what users should know though the work goes on; the message is one line."""


class AudioWarning(BandTokWarning):
    """Sound was changed, or may be lost, in a way worth knowing."""


class DataWarning(BandTokWarning):
    """A corpus is not what its records say."""


class PromptWarning(BandTokWarning):
    """A prompt is not understood as it is meant."""
