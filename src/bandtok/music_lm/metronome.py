"""A metronome: which codes go with a beat, and which tempo goes with a text.

A language model by itself keeps no beat for long, as beats fall between frames. This small network
sees no more than a few cells around the one that is to be written, so all that it knows of the beat
comes from the clock that it is given. How much likelier it finds a code with the clock than without
is added to the language model's scores: that pulls whatever is played onto the beat.

Source: experts that are added as ratios, as in DExperts (2105.03023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.music_lm.clock import BeatClock, ClockInput, TempoReader
from bandtok.music_lm.decoding import packed
from bandtok.music_lm.text import TextStates

AROUND = ((-1, 0), (-2, 0), (-3, 0), (-1, -1), (-1, 1), (0, -1), (0, -2), (0, -3))
"""(frames later, bands higher) of the cells that are seen; all come before in raster order."""
_BEFORE, _BELOW, _ABOVE = 3, 3, 1
_POSITIVE = (
    "num_bands",
    "codebook_size",
    "frame_rate",
    "code_dim",
    "text_dim",
    "model_dim",
    "head_dim",
)


@dataclass(frozen=True, kw_only=True)
class MetronomeConfig:
    """Shape of a metronome.

    Attributes:
        num_bands, codebook_size: of the grids.
        frame_rate: token frames per second.
        tokenizer_fingerprint: of the tokenizer whose codes were learned; "" if unknown.
        text_encoder, text_dim: name of the text encoder, and the width of its states.
        code_dim: width of the code vectors, which start from the tokenizer's codebook.
        model_dim: width of the network.
        num_layers: residual blocks.
        head_dim: width in which codes are scored.
    """

    num_bands: int = 16
    codebook_size: int = 4096
    frame_rate: float = 44_100 / 4096
    tokenizer_fingerprint: str = ""
    text_encoder: str = "minilm"
    text_dim: int = 384
    code_dim: int = 16
    model_dim: int = 192
    num_layers: int = 2
    head_dim: int = 80

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected more than 0")
        if self.num_layers < 0:
            raise ConfigError(f"got num_layers {self.num_layers}; expected 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MetronomeConfig:
        """Read what `to_dict` wrote."""
        return cls(**values)


class Metronome(nn.Module):
    """The cells around a cell and the clock -> scores of its code; a text -> scores of tempos.

    Args:
        config: its shape.
    """

    config_class: ClassVar[type[MetronomeConfig]] = MetronomeConfig

    def __init__(self, config: MetronomeConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.model_dim
        self.code_vectors = nn.Embedding(config.codebook_size + 1, config.code_dim)
        self.around = nn.Linear(len(AROUND) * config.code_dim, dim)
        self.band_embedding = nn.Embedding(config.num_bands, dim)
        self.clock_input = ClockInput(dim)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
            )
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, config.head_dim, bias=False)
        self.head = nn.Linear(config.head_dim, config.codebook_size, bias=False)
        self.tempo = TempoReader(config.text_dim)
        nn.init.normal_(self.head.weight, std=0.02)

    def hidden(self, around: Tensor, bands: Tensor, ticks: Tensor | None = None) -> Tensor:
        """Return float [..., head_dim], which `head` turns into scores.

        Args:
            around: int64 [..., len(AROUND)] codes, `codebook_size` for one that is not known.
            bands: int64 [...] of the cells.
            ticks: float [..., model_dim], what the clock adds; None is no clock.
        """
        x = self.around(self.code_vectors(around).flatten(-2)) + self.band_embedding(bands)
        if ticks is not None:
            x = x + ticks
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.out(self.norm(x))
        return out

    def tempo_scores(self, text: TextStates) -> Tensor:
        """Return how well each tempo goes with each text, float [batch, TEMPO_BINS + 1] logits.

        Raises:
            ConfigError: if the text has another width.
        """
        if text.states.shape[2] != self.config.text_dim:
            raise ConfigError(
                f"got text states {tuple(text.states.shape)}; expected "
                f"[{len(text)}, length, {self.config.text_dim}]"
            )
        scores: Tensor = self.tempo(text)
        return scores

    @torch.no_grad()
    def start_from_codebook(self, codebook: Tensor) -> None:
        """Let the code vectors be the tokenizer's entries, float [codebook_size, code_dim].

        Raises:
            ConfigError: if the codebook has another shape.
        """
        wanted = (self.config.codebook_size, self.config.code_dim)
        if tuple(codebook.shape) != wanted:
            raise ConfigError(
                f"got a codebook {tuple(codebook.shape)}; expected {wanted} "
                f"(--set code_dim={codebook.shape[-1]})"
            )
        centred = codebook - codebook.mean(dim=0)
        self.code_vectors.weight[:-1] = centred / centred.std()
        self.code_vectors.weight[-1] = 0


class SeenCodes:
    """Codes so far, with a margin of unknown ones: what a metronome sees of a cell's surroundings.

    Args:
        codes: int64 [rows, bands, frames].
        unknown: the number that stands for a code that is not known.
        known: bool [bands, frames]; None for all.
    """

    def __init__(self, codes: Tensor, unknown: int, known: Tensor | None = None) -> None:
        if known is not None:
            codes = torch.where(known, codes, unknown)
        self._codes = functional.pad(codes, (_BEFORE, 0, _BELOW, _ABOVE), value=unknown)
        self._bands, self._frames = codes.shape[1:]
        self._later = torch.tensor([later for later, _ in AROUND])
        self._higher = torch.tensor([higher for _, higher in AROUND])

    def everywhere(self) -> Tensor:
        """Return int64 [rows, bands, frames, len(AROUND)]."""
        parts = [
            self._codes[
                :,
                _BELOW + higher : _BELOW + higher + self._bands,
                _BEFORE + later : _BEFORE + later + self._frames,
            ]
            for later, higher in AROUND
        ]
        return torch.stack(parts, dim=-1)

    def at(self, frame: int, band: int) -> Tensor:
        """Return int64 [rows, len(AROUND)]."""
        return self._codes[:, self._higher + (_BELOW + band), self._later + (_BEFORE + frame)]

    def write(self, frame: int, band: int, codes: Tensor) -> None:
        """Set the codes, int64 [rows], of a cell."""
        self._codes[:, _BELOW + band, _BEFORE + frame] = codes


class Beat:
    """A metronome that runs beside clips while they are written.

    Args:
        metronome: in eval mode.
        clock: a row for each clip.
        codes: int64 [clips, bands, frames], from the frame on at which the clock stands.
        known: bool [bands, frames], which of the codes are there already.
    """

    @torch.inference_mode()
    def __init__(
        self, metronome: Metronome, clock: BeatClock, codes: Tensor, known: Tensor
    ) -> None:
        self.metronome = metronome
        self._seen = SeenCodes(codes, metronome.config.codebook_size, known)
        self._ticks = metronome.clock_input(clock, codes.shape[2])
        self._bands = torch.arange(codes.shape[1])
        self._head = packed(metronome.head.weight)

    @torch.inference_mode()
    def push(self, cell: int) -> Tensor:
        """Return by how many nats the beat makes each code of a cell (its raster index) likelier,
        apart from a constant; float [clips, codebook_size], 0 for clips without a beat."""
        frame, band = divmod(cell, len(self._bands))
        ticks = self._ticks[:, frame]
        with_beat, without = self.metronome.hidden(
            self._seen.at(frame, band).expand(2, -1, -1),
            self._bands[band],
            torch.stack((ticks, torch.zeros_like(ticks))),
        )
        return self._head(with_beat - without)

    @torch.inference_mode()
    def write(self, cell: int, codes: Tensor) -> None:
        """Take the codes, int64 [clips], of a cell."""
        self._seen.write(*divmod(cell, len(self._bands)), codes)


DEBUG_METRONOME = MetronomeConfig(
    codebook_size=64,
    text_encoder="hash:8",
    text_dim=8,
    code_dim=4,
    model_dim=16,
    num_layers=1,
    head_dim=8,
)
"""A tiny metronome for tests; its grid is that of the debug tokenizer."""
