"""What requests hold. Fields that are left out, or null, are chosen by the server."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bandtok.api.generation_config import DEFAULT_DURATION_SECONDS, GenerationConfig
from bandtok.errors import ConfigError
from bandtok.lm.beat import SLOWEST_BPM

AudioFormat = Literal["wav", "flac", "ogg", "mp3"]
MusicFormat = Literal["wav", "flac", "ogg", "mp3", "btk", "json", "events"]
MAX_PROMPT_CHARACTERS = 4000
_MAX_SEED = (1 << 63) - 1

Prompt = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
RegionText = Annotated[
    str, Field(max_length=100, description="START-END[s][,LOW-HIGH[Hz]]", examples=["3-6s,2000-"])
]
Scale = Annotated[float, Field(ge=0, le=100)]


class Request(BaseModel):
    """What every request may hold."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    timeout: float | None = Field(
        None, gt=0, description="Seconds after which to give up; can only shorten the limits."
    )


class MusicRequest(Request):
    """What every request for new music may hold; the fields of `edit`."""

    response_format: MusicFormat = Field(
        "wav", description="A file, or 'json', or 'events' (server-sent events with progress)."
    )
    seed: int | None = Field(None, ge=0, le=_MAX_SEED, description="Random seed.")
    temperature: Scale | None = Field(None, description="Sampling temperature; 0 is greedy.")
    top_k: int | None = Field(None, ge=0, le=1_000_000)
    top_p: float | None = Field(None, gt=0, le=1)
    guidance_scale: Scale | None = Field(None, description="Guidance by the prompt; 1 is none.")
    beat_guidance_scale: Scale | None = Field(None, description="Guidance by the beat.")
    num_candidates: int | None = Field(
        None, ge=1, le=16, description="Candidates of which a reranker picks the best."
    )
    bpm: float | None = Field(None, description="Beats per minute, 40 to 240; 0 is no beat.")
    key: str | None = Field(None, max_length=20, examples=["A minor"], description="Key.")
    chords: str | None = Field(
        None, max_length=8000, examples=["Am F C G"], description="One chord per bar, repeated."
    )
    meter: str | None = Field(None, max_length=8, description="Beats per bar, 1/4 to 16/4.")
    harmony_guidance_scale: Scale | None = Field(None, description="Guidance by chords and key.")
    level_strength: Scale | None = Field(None, description="Holds levels; 0 is off.")
    loudness_lufs: float | None = Field(None, ge=-60, le=0, description="Integrated loudness.")
    store_prompt: bool = Field(False, description="Keep the prompt in clear in the tags.")
    num_samples: int = Field(1, ge=1, le=8, description="Clips; more than 1 only as json, events.")

    def overrides(self) -> dict[str, Any]:
        """Return the fields of `GenerationConfig` that were given."""
        names = set(GenerationConfig.__dataclass_fields__) & self.model_fields_set
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def seeds(self) -> list[int]:
        """Return a seed per clip.

        Raises:
            ConfigError: if several clips are requested in a format that holds one.
        """
        if self.num_samples > 1 and self.response_format not in ("json", "events"):
            raise ConfigError(
                f"got num_samples {self.num_samples} with response_format "
                f"{self.response_format!r}; expected 'json' or 'events'"
            )
        first = secrets.randbelow(1 << 31) if self.seed is None else self.seed
        return [min(first, _MAX_SEED - 8) + index for index in range(self.num_samples)]


class BeatRequest(MusicRequest):
    """What requests for whole new frames may hold besides."""

    duration: float = Field(DEFAULT_DURATION_SECONDS, gt=0, description="Seconds of new music.")
    bars: int | None = Field(None, ge=1, le=1000, description="Whole bars instead of seconds.")
    loop: bool | None = Field(None, description="The end leads into the beginning.")
    fade_out: float | None = Field(None, ge=0, le=60, description="Seconds that the end fades.")
    stream: bool = Field(
        False, description="Send sound while it is generated: a 16-bit WAV, or events 'audio'."
    )

    def longest_seconds(self) -> float:
        """Return how long the new music may become: bars are of the slowest tempo if none is given.

        Raises:
            ConfigError: if the meter is none.
        """
        if self.bars is None:
            return self.duration
        config = GenerationConfig(meter=self.meter or GenerationConfig.meter)
        beats = self.bars * config.beats_per_bar
        return 60 * beats / (self.bpm or SLOWEST_BPM)


class GenerateRequest(BeatRequest):
    """Body of `POST /v1/generate`."""

    prompt: Prompt = Field("", examples=["a calm solo piano piece"])


class ContinueQuery(BeatRequest):
    """Query of `POST /v1/continue`; the body is the piece."""

    prompt: Prompt = ""
    side: Literal["right", "left"] = Field("right", description="Where the new music goes.")


class EditQuery(MusicRequest):
    """Query of `POST /v1/edit`; the body is the piece."""

    prompt: Prompt = ""
    region: list[RegionText] = Field(min_length=1, max_length=64)


class EncodeQuery(Request):
    """Query of `POST /v1/encode`; the body is an audio file."""

    response_format: Literal["btk", "json", "events"] = "btk"


class DecodeQuery(Request):
    """Query of `POST /v1/decode`; the body is a .btk file."""

    response_format: MusicFormat = "wav"
    loudness_lufs: float | None = Field(None, ge=-60, le=0, description="Integrated loudness.")


class ReconstructQuery(Request):
    """Query of `POST /v1/reconstruct`; the body is an audio file."""

    response_format: MusicFormat = "wav"


class SpeechRequest(BaseModel):
    """Body of `POST /v1/audio/speech`, as of OpenAI's API; `input` is the prompt.

    `voice`, `instructions` and other fields are accepted and not used.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    input: Prompt
    model: Annotated[str, Field(max_length=200)] = ""
    response_format: Literal["mp3", "flac", "wav", "opus", "aac", "pcm", "ogg"] = "mp3"
    duration: float | None = Field(None, gt=0, description="Seconds; an extension.")
    seed: int | None = Field(None, ge=0, le=_MAX_SEED, description="An extension.")
    timeout: float | None = Field(None, gt=0, description="Seconds; an extension.")


class CancelRequest(BaseModel):
    """Body of `POST /v1/cancel`: the id of the first event."""

    job: Annotated[str, Field(max_length=64)]
