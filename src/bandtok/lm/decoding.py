"""One window of a language model: codes in, scores of the next codes out, guidance applied.

Embeds nothing itself: it keeps track of positions, neighbors, rotary angles and beats, and a
`LanguageModel` computes. Source: classifier-free guidance (2207.12598), a scale for each condition
(2211.09800).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import ConfigError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.config import NEIGHBORS
from bandtok.lm.networks import LanguageModel, TokenInputs
from bandtok.lm.rope import rotary_angles
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.token_order import neighbor_steps


@dataclass(frozen=True, kw_only=True)
class GuidanceBranch:
    """One set of conditions that the model is evaluated with, and what its scores count.

    Attributes:
        use_text, use_beat: the conditions.
        weight: those of all branches add up to 1.
    """

    use_text: bool
    use_beat: bool
    weight: float


def guidance_branches(
    has_text: bool, has_beat: bool, guidance_scale: float, beat_guidance_scale: float
) -> list[GuidanceBranch]:
    """Return the branches that have to be evaluated, the one with most conditions first.

    Scores are pushed from those of no condition along what the text changes, and from those with
    the text along what the beat changes: none + guidance_scale (text - none) + beat_guidance_scale
    (text and beat - text). So the beat is that of the music that the text describes.
    """
    guidance_scale = guidance_scale if has_text else 0.0
    beat_guidance_scale = beat_guidance_scale if has_beat else 0.0
    branches = [GuidanceBranch(use_text=has_text, use_beat=True, weight=beat_guidance_scale)]
    if has_text:
        branches.append(
            GuidanceBranch(
                use_text=True, use_beat=False, weight=guidance_scale - beat_guidance_scale
            )
        )
        beat_guidance_scale = 0.0
    branches.append(
        GuidanceBranch(
            use_text=False, use_beat=False, weight=1.0 - guidance_scale - beat_guidance_scale
        )
    )
    return [branch for branch in branches if branch.weight]


class WindowDecoder:
    """A window of clips that are generated in a batch.

    Args:
        model: the network.
        clips: how many.
        text: a row per clip, or None.
        beat: a row per clip, or None.
        sampling: its guidance scales say which branches there are; each is a row per clip.

    Raises:
        ConfigError: if the text has another number of rows.
    """

    def __init__(
        self,
        model: LanguageModel,
        clips: int,
        text: TextEmbeddings | None = None,
        beat: BeatGrid | None = None,
        sampling: SamplingConfig | None = None,
    ) -> None:
        sampling = sampling or SamplingConfig()
        if text is not None and len(text) != clips:
            raise ConfigError(f"got {len(text)} rows of text; expected {clips}")
        if text is not None and text.is_empty:
            text = None
        self.model, self.clips = model, clips
        self._beat = None if beat is None or beat.is_empty else beat
        self.branches = guidance_branches(
            text is not None,
            self._beat is not None,
            sampling.guidance_scale,
            sampling.beat_guidance_scale,
        )
        self._order = self._seen = np.zeros((0, 0), np.int64)
        self._first_frame, self._position = 0, -1  # the position read last
        self._weights = np.array([branch.weight for branch in self.branches], np.float32)
        unconditional = model.condition(None, clips)
        conditional = unconditional if text is None else model.condition(text, clips)
        self._decoder = model.decoder(
            np.concatenate(
                [conditional if branch.use_text else unconditional for branch in self.branches]
            )
        )

    def rows(self, clips: Sequence[int]) -> WindowDecoder:
        """Return a decoder of these clips that has read what this one has."""
        chosen = list(clips)
        rows = [
            branch * self.clips + clip for branch in range(len(self.branches)) for clip in chosen
        ]
        decoder = copy.copy(self)
        decoder.clips, decoder._seen = len(chosen), self._seen[rows]
        decoder._beat = None if self._beat is None else self._beat.rows(chosen)
        decoder._decoder = self._decoder.rows(rows)
        return decoder

    def begin(self, order: np.ndarray, known: np.ndarray, first_frame: int = 0) -> np.ndarray:
        """Start a window: read the codes that are known and score the next ones.

        The codes at its beginning that the window before had in the same places are not read again.

        Args:
            order: int64 [length], raster indices of the cells in the order they are read.
            known: int64 [clips, n], the codes of the first n cells, n below length.
            first_frame: where in the clip the window begins, for the beat.

        Returns:
            float32 [clips, codebook_size], guidance applied.
        """
        config, count = self.model.config, known.shape[1]
        length = len(order)
        assert count < length <= config.window_tokens
        rows = self.clips * len(self.branches)
        self._bands = order % config.num_bands
        # Where a row has codes of its own, its entries begin after those of the rows below.
        own = 0 if config.rows_share_codes else config.codebook_size
        self._first_entries = self._bands * own
        self._sources = neighbor_steps(order[None], config.num_bands, NEIGHBORS)[0] + 1
        angles = np.stack(rotary_angles(config, order))
        self._cos, self._sin = (wave(angles).astype(np.float32) for wave in (np.cos, np.sin))
        self._beat_inputs = self._embedded_beat(order, first_frame)
        seen = np.full((rows, length + 1), config.bos_id)
        seen[:, 1 : count + 1] = np.tile(
            known + self._first_entries[:count], (len(self.branches), 1)
        )
        unchanged = self._unchanged_positions(order, seen[:, :count], first_frame)
        self._order, self._seen, self._first_frame = order, seen, first_frame
        self._decoder.truncate(unchanged)
        self._position = count
        return self._read(unchanged, count + 1)

    def _unchanged_positions(self, order: np.ndarray, seen: np.ndarray, first_frame: int) -> int:
        """Return how many positions at the beginning of a window are as those read last."""
        count = min(self._position + 1, seen.shape[1])
        if not count or first_frame != self._first_frame:
            return 0
        same = (self._order[:count] == order[:count]) & np.all(
            self._seen[:, :count] == seen[:, :count], axis=0
        )
        return count if same.all() else int(same.argmin())

    def step(self, codes: np.ndarray) -> np.ndarray:
        """Read the codes, int64 [clips], of the cells scored last; score the next ones."""
        entries = codes + self._first_entries[self._position]
        self._position += 1
        self._seen[:, self._position] = np.tile(entries, len(self.branches))
        return self._read(self._position, self._position + 1)

    def text_log_likelihood_ratio(self, codes: np.ndarray) -> np.ndarray:
        """Return by how many nats the text makes codes, int64 [clips], of the cells scored last
        likelier; 0 where no branch leaves the text out.
        """
        if self.branches[0].use_text == self.branches[-1].use_text:
            return np.zeros(self.clips)
        with_text, without = (
            _log_likelihood(self._logits[index].astype(np.float64), codes) for index in (0, -1)
        )
        result: np.ndarray = with_text - without
        return result

    def _read(self, first: int, last: int) -> np.ndarray:
        now = slice(first, last)
        inputs = TokenInputs(
            previous=self._seen[:, now],
            neighbors=self._seen[:, self._sources[now]],
            bands=self._bands[now],
            beat=None if self._beat_inputs is None else self._beat_inputs[:, now],
            cos=self._cos[:, now],
            sin=self._sin[:, now],
        )
        logits = self._decoder.extend(inputs)
        self._logits = logits.reshape(len(self.branches), self.clips, -1)
        guided: np.ndarray = self._weights @ self._logits.reshape(len(self.branches), -1)
        return guided.reshape(self.clips, -1)

    def _embedded_beat(self, order: np.ndarray, first_frame: int) -> np.ndarray | None:
        """Return what the beat adds to each position, float32 [rows, length, model_dim]."""
        if self._beat is None:
            return None
        config = self.model.config
        features = self._beat.at(first_frame).features(config.window_frames)
        embedded = self.model.embed_beat(features)[:, order // config.num_bands]
        nothing = np.zeros_like(embedded)
        return np.concatenate(
            [embedded if branch.use_beat else nothing for branch in self.branches]
        )


def _log_likelihood(logits: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of codes int64 [clips] under logits [clips, codebook_size]."""
    top = logits.max(axis=1)
    total = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
    likelihoods: np.ndarray = np.take_along_axis(logits, codes[:, None], axis=1)[:, 0] - total
    return likelihoods
