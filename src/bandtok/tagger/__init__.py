"""Pretrained music taggers (musicnn): waveform -> probabilities of 50 tags, and embeddings.

For evaluation and captions. The weights are those of the `musicnn` package, which has to be
installed; none of its code is imported.
"""

from bandtok.tagger.labels import MSD_LABELS, MTT_LABELS
from bandtok.tagger.tagger import TAGGER_SAMPLE_RATE, Tagger, TagWindows, load_tagger

__all__ = [
    "load_tagger",
    "Tagger",
    "TagWindows",
    "MTT_LABELS",
    "MSD_LABELS",
    "TAGGER_SAMPLE_RATE",
]
