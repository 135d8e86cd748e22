"""Griffin-Lim as it is commonly done, by librosa: a baseline for vocoders.

ln-mel [n_mels, mel_frames] -> waveform [mel_frames * hop_length]
"""

from __future__ import annotations

import numpy as np

from bandtok.extras import require
from bandtok.signal.mel import MelConfig


def textbook_griffin_lim(
    mel: np.ndarray, config: MelConfig | None = None, *, num_iterations: int = 32
) -> np.ndarray:
    """Find a waveform as it is commonly done: magnitudes once, phases by iteration.

    Magnitudes are the non-negative least squares solution for the mel and stay fixed; 32 rounds of
    the fast algorithm, as librosa has them. Weaker than
    :func:`bandtok.vocoder.griffin_lim.griffin_lim`, and better known.

    Args:
        mel: ln-mel, float [n_mels, mel_frames].
        config: settings the mel was made with; None means the package's default.
        num_iterations: rounds.

    Returns:
        float32 waveform [mel_frames * hop_length].

    Raises:
        MissingDependency: if librosa is not installed.
    """
    librosa = require("librosa", "evaluate")
    config = config or MelConfig()
    hop = config.hop_length
    image = np.pad(np.exp(mel, dtype=np.float32), ((0, 0), (1, 1)), mode="edge")
    magnitude = librosa.feature.inverse.mel_to_stft(
        image,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        power=1.0,
        fmin=config.f_min,
        fmax=config.f_max,
    )
    waveform: np.ndarray = librosa.griffinlim(
        magnitude, n_iter=num_iterations, hop_length=hop, n_fft=config.n_fft, random_state=0
    )
    # librosa centers frame i on sample i * hop; ours lies half a hop later
    return waveform[hop // 2 : hop // 2 + mel.shape[1] * hop].astype(np.float32)
