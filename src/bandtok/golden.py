"""Golden vectors: does another machine, version or port do what ours did?

    input.flac, MODEL/{tokens.btk, decoded.flac}  ->  token agreement, distance of the waveform

The tokens of a short piece and what they decode to were kept from a run on a CPU. Equal bits are
not required of other machines: sums of floats may round otherwise, and a vector half-way between
two entries then falls to the other one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import DataError
from bandtok.signal.audio import Audio, load_audio
from bandtok.tokens.grid import TokenGrid

VECTORS = Path(__file__).parent / "golden_vectors"
INPUT, TOKENS, DECODED = "input.flac", "tokens.btk", "decoded.flac"
MIN_AGREEMENT = 0.99
MIN_SNR_DB = 40.0


@dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """How near this machine comes to the golden vectors.

    Attributes:
        model: name of the vectors.
        same_model: the weights are the ones the vectors were made with.
        token_agreement: share of tokens that are the same, 0 to 1.
        snr_db: decoded golden tokens against the golden waveform, decibels; infinite if equal
            (to the 24 bits that are kept).
    """

    model: str
    same_model: bool
    token_agreement: float
    snr_db: float

    @property
    def passed(self) -> bool:
        near = self.token_agreement >= MIN_AGREEMENT and self.snr_db >= MIN_SNR_DB
        return self.same_model and near


def write_golden(tokenizer: Tokenizer, model: str, folder: Path = VECTORS) -> None:
    """Write the vectors of a tokenizer for the input that lies in `folder`."""
    grid = tokenizer.encode(folder / INPUT)
    (folder / model).mkdir(parents=True, exist_ok=True)
    grid.save(folder / model / TOKENS)
    tokenizer.decode(grid).save(folder / model / DECODED)


def compare_golden(tokenizer: Tokenizer, model: str, folder: Path = VECTORS) -> GoldenResult:
    """Encode and decode once more and compare.

    Args:
        tokenizer: what is to be checked.
        model: which vectors, "bundled" or "debug", or others in `folder`.
        folder: where vectors lie.

    Raises:
        DataError: if there are no such vectors.
    """
    if not (folder / model / TOKENS).is_file():
        raise DataError(f"no golden vectors {model!r} in {folder}; expected {model}/{TOKENS}")
    golden = TokenGrid.load(folder / model / TOKENS)
    wanted = load_audio(folder / model / DECODED)
    same_model = golden.fingerprint == tokenizer.fingerprint
    if not same_model or golden.num_bands != tokenizer.num_bands:
        return GoldenResult(model=model, same_model=False, token_agreement=0.0, snr_db=-np.inf)
    codes = tokenizer.encode(folder / INPUT).codes
    return GoldenResult(
        model=model,
        same_model=True,
        token_agreement=float((codes == golden.codes).mean()),
        snr_db=snr_db(wanted, tokenizer.decode(golden)),
    )


def snr_db(reference: Audio, estimate: Audio) -> float:
    """Return the energy of the reference over that of the difference, in decibels."""
    difference = estimate.waveform.astype(np.float64) - reference.waveform
    noise = float(np.square(difference).sum())
    step = 2.0**-23  # what 24 bits can hold: half a step either way, and no more
    if np.abs(difference).max(initial=0.0) <= step:
        return float("inf")
    signal = float(np.square(reference.waveform.astype(np.float64)).sum())
    return float(10 * np.log10(max(signal, 1e-30) / noise))
