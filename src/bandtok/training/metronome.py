"""The metronome's game: score codes by their surroundings, with the beat and without; find tempos
in captions.

Windows of token shards are drawn at random, each with one of its captions. The batch of a step
depends only on (seed, step).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from bandtok.checkpoint import save_network
from bandtok.data.shards import TokenCorpus
from bandtok.errors import ConfigError, DataError
from bandtok.music_lm.clock import TEMPO_BINS, BeatClock
from bandtok.music_lm.metronome import Metronome, MetronomeConfig, SeenCodes
from bandtok.music_lm.text import TextEncoder
from bandtok.networks import METRONOME_KIND
from bandtok.training.adamw import decaying_adamw
from bandtok.training.captioned import Captioned, CaptionedWindows, CaptionStates, knows_beats
from bandtok.training.device import training_device
from bandtok.training.loop import LoopConfig, apply_gradients
from bandtok.training.token_loss import mean_token_loss, token_losses


@dataclass(frozen=True, kw_only=True)
class MetronomeTraining:
    """A complete run of a metronome.

    Attributes:
        network: the model; what describes the tokenizer is taken from the shards.
        batch_size: windows of a step.
        window_frames: length of a window.
        clock_share: share of windows that hear the clock.
        captions: captions a step that teach which tempo they suggest.
        learning_rate, weight_decay: of AdamW.
        tokenizer: whose codebook the code vectors start from: "bundled", a name or folder, or ""
            to start from random ones.
        validation_windows: fixed windows of the valid split.
        device: "auto" takes an accelerator if there is one.
    """

    network: MetronomeConfig = field(default_factory=MetronomeConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 8
    window_frames: int = 64
    clock_share: float = 0.7
    captions: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    tokenizer: str = "bundled"
    validation_windows: int = 64
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0.0 <= self.clock_share <= 1.0:
            raise ConfigError(f"got clock_share {self.clock_share}; expected 0 to 1")
        for name in ("batch_size", "window_frames", "captions", "validation_windows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected at least 1")


class MetronomeTask:
    """Plays a metronome's training for the loop; see loop.TrainingTask.

    Args:
        recipe: the run.
        corpus: token shards.
        encoder: the text encoder that the recipe's network names.
        codebook: float [codebook_size, code_dim], what the code vectors start from; None leaves
            them random.

    Raises:
        DataError: if no beat is known of any music.
    """

    def __init__(
        self,
        recipe: MetronomeTraining,
        corpus: TokenCorpus,
        encoder: TextEncoder,
        codebook: Tensor | None = None,
    ) -> None:
        if not knows_beats(corpus):
            raise DataError(
                f"{corpus.folder} knows the beat of no music; describe the corpus first "
                "('bandtok data describe'), or render some, and tokenise it anew"
            )
        self.recipe = recipe
        self.device = training_device(recipe.device)
        facts = corpus.tokenizer
        self.config = replace(
            recipe.network,
            num_bands=facts.num_bands,
            codebook_size=facts.codebook_size,
            frame_rate=facts.frame_rate,
            tokenizer_fingerprint=facts.fingerprint,
            text_dim=encoder.dim,
        )
        torch.manual_seed(recipe.loop.seed)
        network = Metronome(self.config)
        if codebook is not None:
            network.start_from_codebook(codebook)
        self.network: nn.Module = network.to(self.device)
        self.modules: Mapping[str, nn.Module] = {"network": self.network}
        self.optimizers: Mapping[str, Optimizer] = {
            "all": decaying_adamw(network.parameters(), recipe.learning_rate, recipe.weight_decay)
        }
        self.captions = CaptionStates(encoder)
        self.train = CaptionedWindows(corpus, "train", recipe.window_frames)
        valid = CaptionedWindows(corpus, "valid", recipe.window_frames)
        self.valid = valid.spread(recipe.validation_windows)

    def step(self, step: int) -> dict[str, float]:
        self.network.train()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        draw = np.random.default_rng((self.recipe.loop.seed, step))
        windows = self.train.draw(self.recipe.batch_size, draw)
        heard = torch.from_numpy(draw.random(len(windows.codes))) < self.recipe.clock_share
        spoken = self.train.draw(self.recipe.captions, draw)
        network = self.network
        assert isinstance(network, Metronome)
        hidden = self._hidden(network, windows.codes, windows.clock.only(heard))
        targets = windows.codes.flatten().to(self.device)
        weights = torch.ones(len(targets), device=self.device)
        music = mean_token_loss(hidden.flatten(0, -2), network.head.weight, targets, weights)
        tempo = self._tempo_loss(network, spoken)
        (music + tempo).backward()  # type: ignore[no-untyped-call]
        total = float(music.detach())
        norm = apply_gradients(total, network, self.optimizers.values())
        return {"loss": total, "tempo_loss": float(tempo.detach()), "gradient_norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, Metronome)
        size, found = self.recipe.batch_size, []
        for start in range(0, len(self.valid.codes), size):
            codes = self.valid.codes[start : start + size]
            clock = self.valid.clock.rows(range(start, start + len(codes)))
            targets = codes.flatten().to(self.device)
            losses = [
                token_losses(
                    self._hidden(network, codes, heard).flatten(0, -2), network.head.weight, targets
                )
                for heard in (clock, None)
            ]
            found.append(torch.stack(losses).view(2, *codes.shape).cpu())
        clocked, silent = torch.cat(found, dim=1)
        known = self.valid.clock.beats_per_frame > 0
        gain = (silent - clocked)[known]
        return {
            "loss": float(clocked.mean()),
            "loss_without_clock": float(silent.mean()),
            "clock_gain": float(gain.mean()) if known.any() else 0.0,
            "tempo_found": self._tempos_found(network),
        }

    def pictures(self, network: nn.Module) -> dict[str, np.ndarray]:
        return {}

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, METRONOME_KIND.name)

    def _hidden(self, network: Metronome, codes: Tensor, clock: BeatClock | None) -> Tensor:
        """Return float [windows, bands, frames, head_dim] for codes [windows, bands, frames]."""
        around = SeenCodes(codes, self.config.codebook_size).everywhere().to(self.device)
        bands = torch.arange(codes.shape[1], device=self.device)[:, None].expand(codes.shape[1:])
        ticks = None
        if clock is not None:
            ticks = network.clock_input(clock, codes.shape[2])[:, None]
        return network.hidden(around, bands, ticks)

    def _tempo_loss(self, network: Metronome, windows: Captioned) -> Tensor:
        """Return the mean nats of the tempos that captions suggest, 0 if none is known."""
        text = self.captions(windows.captions).to(self.device)
        losses = functional.cross_entropy(
            network.tempo_scores(text),
            windows.tempo.to(self.device),
            ignore_index=-1,
            reduction="sum",
        )
        return losses / (windows.tempo >= 0).sum().clamp(min=1)

    def _tempos_found(self, network: Metronome) -> float:
        """Return how often the tempo that a caption suggests most is within 8 % of the true one."""
        known = self.valid.tempo >= 0
        if not known.any():
            return 0.0
        text = self.captions(self.valid.captions).to(self.device)
        best = network.tempo_scores(text).argmax(dim=1).cpu()
        with_beat = (best < TEMPO_BINS) & (self.valid.tempo < TEMPO_BINS)
        right = torch.where(
            with_beat, (best - self.valid.tempo).abs() <= 2, best == self.valid.tempo
        )
        return float(right[known].float().mean())
