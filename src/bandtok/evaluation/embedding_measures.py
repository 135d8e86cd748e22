"""Distances between originals and reconstructions in the space of pretrained embeddings.

    embeddings of the same windows [windows, dim] -> mean cosine distance
    those of all clips, by track -> MMD and Frechet distance of the two sets

Which measures there are of which embedder, and how embedders that are not installed are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import ConfigError, DataError, MissingDependency
from bandtok.evaluation.embedders import Embedder, load_embedder
from bandtok.evaluation.frechet import MIN_SAMPLES, Frechet, frechet_distance
from bandtok.evaluation.mmd import polynomial_mmd
from bandtok.evaluation.statistics import Estimate
from bandtok.signal.audio import Audio

ORIGINAL = "original"
"""Name of the originals among the systems."""


@dataclass(frozen=True, kw_only=True)
class EmbedderMeasures:
    """What is measured with one embedder.

    Attributes:
        embedder: name for `load_embedder`.
        distance: name of its measure of a clip, the mean cosine distance.
        mmd: name of its measure of all clips.
        mmd_scale: factor of the MMD. The size of the kernel depends on the size of the embeddings,
            so that values of two embedders cannot be compared.
    """

    embedder: str
    distance: str
    mmd: str
    mmd_scale: float


EMBEDDER_MEASURES = (
    EmbedderMeasures(embedder="musicnn", distance="embedding_distance", mmd="mmd", mmd_scale=50.0),
    EmbedderMeasures(
        embedder="aisfx", distance="embedding_distance_aisfx", mmd="mmd_aisfx", mmd_scale=1.0
    ),
)
Embeddings = dict[str, np.ndarray]
"""Embeddings [windows, dim] of one waveform, by embedder."""


@dataclass(frozen=True, kw_only=True)
class ClipEmbeddings:
    """Embeddings of one excerpt.

    Attributes:
        track: group for resampling.
        by_system: by system with a waveform; the original's are under `ORIGINAL`.
    """

    track: str
    by_system: Mapping[str, Embeddings]


def check_embedder_names(names: Sequence[str]) -> None:
    """Raise a ConfigError for an embedder that no measure is defined for."""
    known = [measures.embedder for measures in EMBEDDER_MEASURES]
    for name in names:
        if name not in known:
            raise ConfigError(f"got embedder {name!r}; expected one of {', '.join(known)}")


def load_embedders(
    names: Sequence[str], device: str = "cpu"
) -> tuple[dict[str, Embedder], list[str]]:
    """Load embedders; return those installed, and one line for each that is not.

    Raises:
        CheckpointError: if the weights of an installed one are damaged.
    """
    found, missing = {}, []
    for name in names:
        try:
            found[name] = load_embedder(name, device)
        except MissingDependency as error:
            missing.append(f"measures of {name} embeddings: {error}")
    return found, missing


def embed_all(audio: Audio, embedders: Mapping[str, Embedder]) -> Embeddings:
    """Return the embeddings of a mono recording by every embedder."""
    return {
        name: embedder.embed(audio.waveform[0], audio.sample_rate)
        for name, embedder in embedders.items()
    }


def embedding_distances(original: Embeddings, estimate: Embeddings) -> dict[str, float | None]:
    """Return the mean cosine distance of the same windows by name of the measure."""
    return {
        measures.distance: mean_cosine_distance(
            original[measures.embedder], estimate[measures.embedder]
        )
        for measures in EMBEDDER_MEASURES
        if measures.embedder in original
    }


def mean_cosine_distance(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the mean of 1 - cosine over paired rows of [n, dim]: 0 for equal direction, 2 at most.

    Rows where either vector is zero are skipped; None if none is left.

    Raises:
        DataError: if the shapes differ.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise DataError(
            f"got embeddings of shapes {first.shape} and {second.shape}; expected two of the same "
            "shape [n, dim]"
        )
    pair = [values.astype(np.float64) for values in (first, second)]
    sizes = np.linalg.norm(pair[0], axis=1) * np.linalg.norm(pair[1], axis=1)
    kept = sizes > 0
    if not kept.any():
        return None
    cosines = (pair[0] * pair[1]).sum(axis=1)[kept] / sizes[kept]
    return float(np.mean(1 - cosines.clip(-1, 1)))


def mmd_by_system(
    clips: Sequence[ClipEmbeddings],
) -> tuple[dict[str, dict[str, Estimate]], list[str]]:
    """Return the MMD of each system's set of embeddings from the originals' set, and notes.

    By system, then by name of the measure. The interval is over resampled tracks.
    """
    found: dict[str, dict[str, Estimate]] = {}
    notes = []
    for measures in EMBEDDER_MEASURES:
        sets = _sets(clips, measures.embedder)
        windows = len(sets[ORIGINAL]) if sets else 0
        if windows == 1:
            notes.append(f"MMD, {measures.embedder}: got 1 window, expected 2 or more; add clips")
        if windows < 2:
            continue
        tracks = [clip.track for clip in clips for _ in clip.by_system[ORIGINAL][measures.embedder]]
        for system, vectors in sets.items():
            if system != ORIGINAL:
                found.setdefault(system, {})[measures.mmd] = polynomial_mmd(
                    sets[ORIGINAL], vectors, tracks, scale=measures.mmd_scale
                )
    return found, notes


def frechet_by_system(
    clips: Sequence[ClipEmbeddings], embedder: str = "musicnn"
) -> tuple[dict[str, Frechet], list[str]]:
    """Return the Frechet distance of each system's set from the originals' set, and notes."""
    sets = _sets(clips, embedder)
    windows = len(sets[ORIGINAL]) if sets else 0
    if windows < MIN_SAMPLES:  # the rest of the report is valid without it
        return {}, [
            f"Frechet distance: got {windows} windows, expected {MIN_SAMPLES} or more; "
            "take more clips of a track (--per-track) or longer ones"
        ]
    return {
        system: frechet_distance(sets[ORIGINAL], vectors)
        for system, vectors in sets.items()
        if system != ORIGINAL
    }, []


def _sets(clips: Sequence[ClipEmbeddings], embedder: str) -> dict[str, np.ndarray]:
    """Return all windows [n, dim] by system; empty if this embedder was not used."""
    if not clips or embedder not in clips[0].by_system[ORIGINAL]:
        return {}
    return {
        system: np.concatenate([clip.by_system[system][embedder] for clip in clips])
        for system in clips[0].by_system
    }
