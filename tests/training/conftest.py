"""A corpus of shards that training can learn from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandtok.data.segments import Segment
from bandtok.data.shards import TokenCorpus

BANDS, SIZE = 4, 12
FACTS = {
    "num_bands": BANDS,
    "codebook_size": SIZE,
    "sample_rate": 8000,
    "samples_per_frame": 400,
    "fingerprint": "abc",
}


@pytest.fixture
def corpus(tmp_path: Path) -> TokenCorpus:
    """Codes that can be learned: each frame goes on where the one before was."""
    folder = tmp_path / "shards"
    (folder / "codes").mkdir(parents=True)
    entries = []
    for number, split in enumerate(("train", "train", "valid")):
        frames = 30 + number
        codes = (np.arange(frames) + np.arange(BANDS)[:, None] + number) % SIZE
        np.save(folder / "codes" / f"{number}.npy", codes.astype(np.uint16))
        entries.append(
            {
                "file": f"codes/{number}.npy",
                "path": f"{number}.wav",
                "offset_samples": 0,
                "num_frames": frames,
                "split": split,
                "title": f"Piece of mind {number}",
                "style": ["calm", "piano"],
                "package": "",
            }
        )
    index = {"format": 1, "tokenizer": FACTS, "shards": entries}
    (folder / "index.json").write_text(json.dumps(index))
    return TokenCorpus(folder)


@pytest.fixture
def beating(corpus: TokenCorpus) -> TokenCorpus:
    """The same corpus, two pieces with a beat (one of them a semitone up) and one without."""
    for number, shard in enumerate(corpus.shards):
        segment = Segment(
            start_seconds=0.0,
            end_seconds=10.0,
            words={"tempo": {"fast": 1.0}},
            bpm=None if number == 1 else 120.0,
            bpm_weight=0.0 if number == 1 else 1.0,
            beat_seconds=None if number == 1 else 0.1,
        )
        corpus.shards[number] = replace(
            shard, segments=(segment,), frame_seconds=0.05, semitones=12 * number
        )
    return corpus
