"""Judges of harmony that know no tokens: constant-Q spectra of bars -> chords, of clips -> keys.

They are taught on rendered music through the codec. One network scores every root alike, on the
spectrum shifted by that root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.api.tokenizer import Tokenizer
from bandtok.lm.chords import NO_CHORD, NUM_LABELS
from research.harmony.labels import LabeledTokens

_RATE, _HOP = 22_050, 512
_BINS, _SEEN = 84, 72
_SECONDS = 18.0
_STEPS = 2000


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Spectra of bars, float32 [bars, bins], with what is known of them, int64 [bars] each."""

    spectra: np.ndarray
    chords: np.ndarray
    keys: np.ndarray
    pieces: np.ndarray
    held_out: np.ndarray


def spectra_of_bars(waveform: np.ndarray, rate: int, bar_seconds: float) -> np.ndarray:
    """Return the mean log constant-Q spectrum of each whole bar, float32 [bars, bins].

    Args:
        waveform: float [samples].
        rate: in Hz.
        bar_seconds: length of a bar; the first begins with the waveform.
    """
    mono = librosa.resample(waveform, orig_sr=rate, target_sr=_RATE)
    low = librosa.note_to_hz("C1")
    spectrum = librosa.cqt(mono, sr=_RATE, hop_length=_HOP, fmin=low, n_bins=_BINS, tuning=0.0)
    logs = np.log1p(100 * np.abs(spectrum) / (np.abs(mono).max() + 1e-9))
    places = np.arange(logs.shape[1]) * _HOP / _RATE / bar_seconds
    count = int(len(mono) / _RATE / bar_seconds + 1e-3)
    bars = [logs[:, (places >= bar) & (places < bar + 1)].mean(axis=1) for bar in range(count)]
    return np.array(bars, np.float32).reshape(count, _BINS)


def bars_of_pieces(tokenizer: Tokenizer, pieces: Sequence[LabeledTokens], most: int) -> Bars:
    """Decode the beginnings of pieces with chords, at most `most` to learn and a third to test."""
    spectra, chords, keys, numbers, held = [], [], [], [], []
    left = {True: most // 3, False: most}
    for number, piece in enumerate(pieces):
        held_out = piece.split != "train"
        if (piece.chords == NO_CHORD).all() or not left[held_out]:
            continue
        left[held_out] -= 1
        count = int(_SECONDS / piece.bar_seconds)
        codes = piece.codes[piece.bars < count].T
        waveform = next(iter(tokenizer.codec.decode_codes(codes[None])))[0]
        found = spectra_of_bars(waveform, tokenizer.sample_rate, piece.bar_seconds)
        count = min(len(found), len(piece.chords))
        spectra += list(found[:count])
        chords += piece.chords[:count].tolist()
        keys += [piece.key] * count
        numbers += [number] * count
        held += [held_out] * count
    return Bars(
        spectra=np.array(spectra, np.float32),
        chords=np.array(chords),
        keys=np.array(keys),
        pieces=np.array(numbers),
        held_out=np.array(held),
    )


class Judge(nn.Module):
    """Spectra float [n, bins] -> logits of labels float [n, NUM_LABELS]."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(_SEEN, 96), nn.ReLU(), nn.Dropout(0.4), nn.Linear(96, 2))

    def forward(self, spectra: Tensor) -> Tensor:
        views = spectra.unfold(1, _SEEN, 1)[:, : NUM_LABELS // 2]
        views = (views - views.mean(2, keepdim=True)) / (views.std(2, keepdim=True) + 1e-3)
        logits: Tensor = self.net(views).flatten(1)
        return logits


@dataclass(frozen=True, kw_only=True)
class TaughtJudge:
    """A judge and its own accuracy on held-out music."""

    judge: Judge
    exact: float
    root: float
    count: int

    @torch.no_grad()
    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Return labels int64 [n] of spectra float [n, bins]."""
        found: np.ndarray = self.judge(torch.from_numpy(spectra)).argmax(1).numpy()
        return found


def teach_chords(bars: Bars) -> TaughtJudge:
    """Teach a judge of the chords of bars."""
    known = bars.chords != NO_CHORD
    return _teach(bars.spectra[known], bars.chords[known], bars.held_out[known])


def teach_keys(bars: Bars, seconds_bars: int = 4) -> TaughtJudge:
    """Teach a judge of keys, from the mean spectrum of some bars in a row."""
    spectra, keys, held = [], [], []
    for piece in np.unique(bars.pieces):
        own = np.flatnonzero(bars.pieces == piece)
        for first in range(0, len(own) - seconds_bars + 1, seconds_bars):
            part = own[first : first + seconds_bars]
            spectra.append(bars.spectra[part].mean(axis=0))
            keys.append(bars.keys[part[0]])
            held.append(bars.held_out[part[0]])
    return _teach(np.array(spectra), np.array(keys), np.array(held))


def _teach(spectra: np.ndarray, labels: np.ndarray, held_out: np.ndarray) -> TaughtJudge:
    torch.manual_seed(0)
    judge, learned = Judge(), torch.from_numpy(spectra[~held_out])
    wanted = torch.from_numpy(labels[~held_out])
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    for _ in range(_STEPS):
        chosen = torch.randint(len(learned), (128,))
        noisy = learned[chosen] + 0.1 * torch.randn(128, _BINS)
        loss = functional.cross_entropy(judge(noisy), wanted[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    taught = TaughtJudge(judge=judge.eval(), exact=0.0, root=0.0, count=int(held_out.sum()))
    found, right = taught(spectra[held_out]), labels[held_out]
    return TaughtJudge(
        judge=judge,
        exact=float((found == right).mean()),
        root=float((found // 2 == right // 2).mean()),
        count=len(right),
    )
