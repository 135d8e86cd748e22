"""Limits of the server, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from bandtok.errors import ConfigError

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What one server accepts.

    Args:
        queue_size: requests that may wait for the model while one runs; further ones get 503.
        max_upload_bytes: greatest size of a request body.
        max_audio_seconds: greatest length of uploaded audio or tokens.
        max_duration_seconds: greatest length of generated music per request.
        queue_timeout_seconds: how long a request may wait for the model.
        job_timeout_seconds: how long the model may work on one request.

    Raises:
        ConfigError: if a limit is not positive.
    """

    queue_size: int = 4
    max_upload_bytes: int = 64 * MIB
    max_audio_seconds: float = 600.0
    max_duration_seconds: float = 120.0
    queue_timeout_seconds: float = 300.0
    job_timeout_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"got {name} {value}; expected a positive number")
