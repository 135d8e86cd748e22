"""One excerpt of a corpus, through every system and every measure.

    Excerpt, Tokenizer, systems -> ClipRow, codes, embeddings

Sums nothing over clips; see :mod:`bandtok.evaluation.corpus`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import AudioError
from bandtok.evaluation.embedders import Embedder
from bandtok.evaluation.embedding_measures import (
    ORIGINAL,
    ClipEmbeddings,
    Embeddings,
    embed_all,
    embedding_distances,
)
from bandtok.evaluation.excerpts import Excerpt, load_excerpt
from bandtok.evaluation.signal_measures import dc_offset_dbfs, peak_dbfs
from bandtok.evaluation.system_audio import SystemAudio, load_system_audio
from bandtok.evaluation.systems import (
    ClipMeasures,
    PreparedClip,
    System,
    measure_output,
    prepare,
    reconstruct,
)
from bandtok.signal.audio import Audio

KeepAudio = Callable[[str, Excerpt, Audio], object]
"""Called with the name of a system (or "original"), the excerpt and its waveform."""


@dataclass(frozen=True, kw_only=True)
class OriginalMeasures:
    """What is measured of an original alone; fields as in ClipMeasures.

    Attributes:
        onsets_per_second: None if it was not measured.
        dc_offset_dbfs, peak_dbfs: None for silence.
    """

    onsets_per_second: float | None = None
    dc_offset_dbfs: float | None = None
    peak_dbfs: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """One clip.

    Attributes:
        excerpt: where it is from.
        level_dbfs: root mean square in dB of full scale; -inf is written as -200.
        measures: by system name.
        original: measures of the excerpt itself.
    """

    excerpt: Excerpt
    level_dbfs: float
    measures: dict[str, ClipMeasures]
    original: OriginalMeasures


@dataclass(frozen=True, kw_only=True)
class MeasuredClip:
    """One clip, with what the sums over all clips need.

    Attributes:
        row: its measures.
        codes: its tokens.
        embeddings: of the original and of each system with a waveform; None without embedders.
    """

    row: ClipRow
    codes: np.ndarray
    embeddings: ClipEmbeddings | None


@dataclass(frozen=True, kw_only=True)
class ClipMeasurer:
    """Measures excerpts, one at a time; may be called from several threads.

    Attributes:
        folder: what the tracks' paths are relative to.
        tokenizer: what is measured.
        systems: chains of the tokenizer.
        system_audio: reconstructions by other programs.
        embedders: by name; empty measures no embeddings.
        below_hz, num_iterations, pitch_and_onsets, si_sdr: as in ReconstructionSettings.
        keep_audio: gets the original and every system's waveform.
    """

    folder: Path
    tokenizer: Tokenizer
    systems: tuple[System, ...]
    system_audio: tuple[SystemAudio, ...]
    embedders: Mapping[str, Embedder]
    below_hz: float
    num_iterations: int
    pitch_and_onsets: bool
    si_sdr: bool
    keep_audio: KeepAudio | None = None

    def __call__(self, excerpt: Excerpt, *, visqol: bool) -> MeasuredClip | str:
        """Return a clip's measures, or a line that says why it is left out."""
        where = f"{excerpt.track.path} at {excerpt.start_seconds:.1f} s"
        try:
            audio = load_excerpt(excerpt, self.folder, self.tokenizer.sample_rate)
            if audio.waveform.shape[1] < self.tokenizer.config.samples_per_frame:
                return f"{where}: shorter than one token frame"
            if self.keep_audio:
                self.keep_audio(ORIGINAL, excerpt, audio)
            others = [
                (other.name, load_system_audio(other, excerpt, audio))
                for other in self.system_audio
            ]
        except AudioError as error:
            return f"{where}: {error}"
        clip = prepare(audio, self.tokenizer)
        measures: dict[str, ClipMeasures] = {}
        embeddings = {ORIGINAL: embed_all(audio, self.embedders)}
        for name, estimate in (*self._reconstructions(clip), *others):
            measures[name] = self._measured(clip, estimate, embeddings, name, visqol=visqol)
            if self.keep_audio and estimate:
                self.keep_audio(name, excerpt, estimate)
        return MeasuredClip(
            row=self._row(excerpt, clip, measures),
            codes=clip.grid.codes,
            embeddings=ClipEmbeddings(track=excerpt.track.path, by_system=embeddings)
            if self.embedders
            else None,
        )

    def _reconstructions(self, clip: PreparedClip) -> Iterator[tuple[str, Audio | None]]:
        for system in self.systems:
            if system.has_waveform:
                yield system.name, reconstruct(system, clip, self.tokenizer, self.num_iterations)
            else:
                yield system.name, None

    def _measured(
        self,
        clip: PreparedClip,
        estimate: Audio | None,
        embeddings: dict[str, Embeddings],
        name: str,
        *,
        visqol: bool,
    ) -> ClipMeasures:
        measures = measure_output(
            clip,
            estimate,
            self.tokenizer.config.mel,
            below_hz=self.below_hz,
            visqol=visqol,
            pitch_and_onsets=self.pitch_and_onsets,
            si_sdr=self.si_sdr,
        )
        if estimate is None or not self.embedders:
            return measures
        embeddings[name] = embed_all(estimate, self.embedders)
        if not clip.reference.waveform.any():  # nothing to recognize
            return measures
        distances: dict[str, Any] = {**embedding_distances(embeddings[ORIGINAL], embeddings[name])}
        return replace(measures, **distances)

    def _row(
        self, excerpt: Excerpt, clip: PreparedClip, measures: dict[str, ClipMeasures]
    ) -> ClipRow:
        samples = clip.reference.waveform[0]
        power = float(np.mean(samples.astype(np.float64) ** 2))
        onsets = clip.pitch_onsets.onsets_per_second if self.pitch_and_onsets else None
        return ClipRow(
            excerpt=excerpt,
            level_dbfs=10 * float(np.log10(max(power, 1e-20))),
            measures=measures,
            original=OriginalMeasures(
                onsets_per_second=onsets,
                dc_offset_dbfs=dc_offset_dbfs(samples),
                peak_dbfs=peak_dbfs(samples),
            ),
        )
