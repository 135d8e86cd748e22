"""The music language model: text and known codes -> the distribution of the next code.

A window is read in an order: raster, delay, or for editing known tokens first. Position k is
given which cell comes k-th (its query is rotated to that cell, its input holds the cell's band and
those of its neighbors that are known by then) and holds the code read before (its key is rotated
to that one's cell). In raster order, "the next cell" is one special case of this. The text comes as
scales and shifts of every norm. The model knows a tokenizer only through `MusicLMConfig`.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.lm.attention import RotaryTable
from bandtok.lm.beat import BeatGrid
from bandtok.lm.conditioning import BeatEmbedding, Conditioner, TempoPredictor
from bandtok.lm.config import NEIGHBORS, MusicLMConfig
from bandtok.lm.kv_cache import KeyValueCache
from bandtok.lm.rope import rotary_angles
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.token_order import neighbor_steps
from bandtok.lm.transformer import Transformer


class MusicLM(nn.Module):
    """A decoder-only transformer over the flattened token grid.

    Args:
        config: the model's shape.
    """

    config_class: ClassVar[type[MusicLMConfig]] = MusicLMConfig

    def __init__(self, config: MusicLMConfig) -> None:
        super().__init__()
        self.config = config
        entries = config.num_entries + 1
        self.code_embedding = nn.Embedding(entries, config.model_dim)
        self.code_vectors = nn.Embedding(entries, config.code_dim)
        self.code_projection = nn.Linear(config.code_dim, config.model_dim, bias=False)
        self.neighbors = nn.Linear(len(NEIGHBORS) * config.code_dim, config.model_dim, bias=False)
        self.band_embedding = nn.Embedding(config.num_bands, config.model_dim)
        self.beat_embedding = BeatEmbedding(config.model_dim) if config.beat_conditioning else None
        self.tempo = TempoPredictor(config.text_dim) if config.beat_conditioning else None
        self.transformer = Transformer(config)
        self.condition = Conditioner(config)
        self._initialize()

    def forward(
        self,
        tokens: Tensor,
        text: TextEmbeddings | None = None,
        order: Tensor | None = None,
        beat_grid: BeatGrid | None = None,
    ) -> Tensor:
        """Score every token given the ones before it.

        Args:
            tokens: int64 [batch, length] codes, in that order.
            text: states for each row; None means that all rows are unconditional.
            order: int64 [batch or 1, length] raster indices of the tokens' cells; None is the
                raster order.
            beat_grid: a beat for each row, from the window's first frame on; None for none.

        Returns:
            float [batch, length, codebook_size]: logits[:, k] predict tokens[:, k] and depend only
            on the text, the order, the beat grid, and tokens[:, :k].

        Raises:
            ConfigError: if there is a beat grid and the model has learned none, or text or beat
                grid
            have another number of rows.
        """
        hidden, head = self.hidden(tokens, text, order, beat_grid), self.head()
        if head.ndim == 2:
            return functional.linear(hidden, head)
        if order is None:
            order = torch.arange(tokens.shape[1], device=tokens.device)[None]
        rows = (order % self.config.num_bands).expand(tokens.shape)
        scores = hidden.new_empty(*tokens.shape, self.config.codebook_size)
        for row, own in enumerate(head):
            here = rows == row
            scores[here] = functional.linear(hidden[here], own)
        return scores

    def hidden(
        self,
        tokens: Tensor,
        text: TextEmbeddings | None = None,
        order: Tensor | None = None,
        beat_grid: BeatGrid | None = None,
    ) -> Tensor:
        """Return float [batch, length, model_dim], which `head` turns into the scores."""
        batch, length = tokens.shape
        if order is None:
            order = torch.arange(length, device=tokens.device)[None]
        embedded = self.embed(tokens, order)
        if beat_grid is not None:
            embedded = embedded + self.beat_inputs(beat_grid, order.expand(batch, -1))
        hidden: Tensor = self.transformer(embedded, self.condition(text, batch), self.rotary(order))
        return hidden

    def embed(self, tokens: Tensor, order: Tensor) -> Tensor:
        """Embed the input of each position: the code read before, its cell's band and neighbors.

        Args:
            tokens: int64 [batch, length] in `order`.
            order: int64 [batch or 1, length].

        Returns:
            float [batch, length, model_dim].
        """
        bands = self.config.num_bands
        start = tokens.new_full((tokens.shape[0], 1), self.config.bos_id)
        known = torch.cat((start, tokens + self.first_entries(order)), dim=1)
        steps = torch.from_numpy(neighbor_steps(order.cpu().numpy(), bands, NEIGHBORS))
        steps = steps.to(tokens.device).expand(tokens.shape[0], -1, -1)
        around = known.gather(1, steps.flatten(1) + 1).view_as(steps)
        return self.embed_entries(known[:, :-1], around, order % bands, self.code_matrix())

    def embed_entries(
        self, previous: Tensor, neighbors: Tensor, bands: Tensor, code_matrix: Tensor
    ) -> Tensor:
        """Embed entries; see `bandtok.lm.networks.TokenInputs` for the first three arguments.

        Args:
            previous: int64 [batch, length].
            neighbors: int64 [batch, length, len(NEIGHBORS)].
            bands: int64 [length] or [batch or 1, length].
            code_matrix: what `code_matrix` returns.
        """
        result: Tensor = (
            functional.embedding(previous, code_matrix)
            + self.band_embedding(bands)
            + self.neighbors(self.code_vectors(neighbors).flatten(2))
        )
        return result

    def beat_inputs(self, beat_grid: BeatGrid, order: Tensor) -> Tensor:
        """Return what the beat adds to each position, float [batch, length, model_dim].

        Args:
            beat_grid: a row for each row of `order`.
            order: int64 [batch, length].

        Raises:
            ConfigError: if the model has learned no beat, or rows differ in number.
        """
        if self.beat_embedding is None:
            raise ConfigError("got a beat grid; this model has learned none, expected no tempo")
        if len(beat_grid) != len(order):
            raise ConfigError(f"got {len(beat_grid)} beat grids; expected {len(order)}")
        frames = order // self.config.num_bands
        embedded: Tensor = self.beat_embedding(beat_grid.features(self.config.window_frames))
        return embedded.gather(1, frames[..., None].expand(-1, -1, embedded.shape[2]))

    def tempo_scores(self, text: TextEmbeddings) -> Tensor:
        """Return how well each tempo goes with each text, float [batch, TEMPO_BINS + 1] logits.

        Raises:
            ConfigError: if the model has learned no tempos, or the text has another width.
        """
        if self.tempo is None:
            raise ConfigError("this model has learned no tempos")
        scores: Tensor = self.tempo(text)
        return scores

    def beat_weights(self) -> dict[str, Tensor]:
        """Return the weights that only a model with beat conditioning has, by their names."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if name.startswith(("beat_embedding.", "tempo."))
        }

    def first_entries(self, order: Tensor) -> Tensor:
        """Return the entry of code 0 in the row of each cell, int64 like `order`.

        All 0 where rows share their codes.
        """
        if self.config.rows_share_codes:
            return torch.zeros_like(order)
        return order % self.config.num_bands * self.config.codebook_size

    def code_matrix(self) -> Tensor:
        """Return the embedding of every code and of "none", float [entries, model_dim]."""
        result: Tensor = self.code_embedding.weight + self.code_projection(self.code_vectors.weight)
        return result

    def head(self) -> Tensor:
        """Return what scores the codes: their embeddings.

        Returns:
            float [codebook_size, model_dim]; [num_bands, codebook_size, model_dim] where each row
            has codes of its own.
        """
        codes = self.code_matrix()[: self.config.num_entries]
        if self.config.rows_share_codes:
            return codes
        result: Tensor = codes.unflatten(0, (self.config.num_bands, self.config.codebook_size))
        return result

    def rotary(self, order: Tensor) -> RotaryTable:
        """Return the rotations of windows read in `order`, int64 [batch or 1, length]."""
        config = self.config
        queries, keys = rotary_angles(config, order.cpu().numpy())
        query_table = RotaryTable.of_angles(queries, config.num_heads, order.device)
        return query_table.followed_by(
            RotaryTable.of_angles(keys, config.num_kv_heads, order.device)
        )

    def make_cache(self, batch: int) -> KeyValueCache:
        """Return an empty cache for one window."""
        return KeyValueCache(
            num_layers=self.config.num_layers,
            batch=batch,
            num_kv_heads=self.config.num_kv_heads,
            max_length=self.config.window_tokens,
            head_dim=self.config.head_dim,
            device=self.code_embedding.weight.device,
            dtype=self.code_embedding.weight.dtype,
        )

    @torch.no_grad()
    def start_from_codebook(self, codebook: Tensor) -> None:
        """Let the code vectors be the tokenizer's entries.

        Args:
            codebook: float [codebook_size, dim], or [num_bands, codebook_size, dim] where each row
                has codes of its own; of more than `code_dim` dimensions the principal ones stay.

        Raises:
            ConfigError: if the codebook has another shape or too few dimensions.
        """
        config, dim = self.config, codebook.shape[-1]
        tables = config.num_entries // config.codebook_size
        own = codebook if codebook.ndim == 3 else codebook.expand(tables, -1, -1)
        if own.shape[:2] != (tables, config.codebook_size) or dim < config.code_dim:
            raise ConfigError(
                f"got a codebook {tuple(codebook.shape)}; expected "
                f"{(tables, config.codebook_size, config.code_dim)} "
                f"(--set code_dim={dim}, or --set tokenizer= for none)"
            )
        centered = own - own.mean(dim=1, keepdim=True)
        if dim > config.code_dim:
            axes = torch.linalg.svd(centered, full_matrices=False).Vh[:, : config.code_dim]
            centered = centered @ axes.mT
        vectors = centered / centered.std(dim=(1, 2), keepdim=True)
        self.code_vectors.weight[: config.num_entries] = vectors.flatten(0, 1)
        self.code_vectors.weight[config.num_entries] = 0

    def _initialize(self) -> None:
        deep = 0.02 / math.sqrt(2 * self.config.num_layers)
        for name, module in self.transformer.named_modules():
            if isinstance(module, nn.Linear):
                last = name.endswith((".out", ".down"))
                nn.init.normal_(module.weight, std=deep if last else 0.02)
        nn.init.normal_(self.code_vectors.weight)
        for embedding in (self.code_embedding, self.band_embedding):
            nn.init.normal_(embedding.weight, std=0.02)
        for linear in (self.code_projection, self.neighbors):
            nn.init.normal_(linear.weight, std=0.02 / math.sqrt(linear.in_features))
