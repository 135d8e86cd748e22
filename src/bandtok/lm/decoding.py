"""One token at a time, fast: a model's weights laid out for single steps, and a window's cache.

The same function as `MusicLM.forward`, to the rounding of float16 weights: what does not change
from step to step is computed once (embeddings with their projections, the text's scales and
shifts, turns with their gains), the cache is allocated once, and matrices are kept as float16 where
torch has a product for that on this processor: it reads half the memory and adds in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.model import NEIGHBORS, MusicLM
from bandtok.lm.rope import RotaryTable
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.token_order import neighbor_steps
from bandtok.lm.transformer import Block

Product = Callable[[Tensor], Tensor]


class StepWeights:
    """A model's weights, laid out for steps of one token.

    Args:
        model: left as it is; used for longer stretches.
    """

    @torch.no_grad()
    def __init__(self, model: MusicLM) -> None:
        self.model = model
        blocks = [block for block in model.transformer.blocks if isinstance(block, Block)]
        self.qkv = [prepack_linear(block.attention.qkv.weight) for block in blocks]
        self.out = [prepack_linear(block.attention.out.weight) for block in blocks]
        self.up = [prepack_linear(block.mlp.up.weight) for block in blocks]
        self.down = [prepack_linear(block.mlp.down.weight) for block in blocks]
        head = model.head()
        self.heads = [prepack_linear(own) for own in (head if head.ndim == 3 else head[None])]
        # Values are not turned, but leaving them out would cost a copy a layer.
        self.gains = functional.pad(
            torch.stack([block.attention.gain[:, 0] for block in blocks]),
            (0, 0, 0, model.config.num_kv_heads),
        )
        half = model.config.head_dim // 2
        self.swapped_gains = self.gains.roll(half, dims=-1)
        self.table, self.places = _input_table(model)


@dataclass(frozen=True, kw_only=True)
class GuidanceBranch:
    """One way to ask the model about a clip, and what its scores count among those of others.

    Attributes:
        use_text, use_beat: what it is told.
        weight: all voices' weights add up to 1.
    """

    use_text: bool
    use_beat: bool
    weight: float


def guidance_branches(
    has_text: bool, has_clock: bool, text_scale: float, beat_guidance_scale: float
) -> list[GuidanceBranch]:
    """Return who has to be asked, the one who hears most first.

    Scores are pushed from those of no condition along what the text changes, and from those with
    the text along what the clock changes: none + text_scale (text - none) + beat_guidance_scale
    (text and clock - text). So the beat comes in as the music that is asked for keeps it.

    Source: classifier-free guidance (2207.12598), a scale for each condition (2211.09800).
    """
    text_scale = text_scale if has_text else 0.0
    beat_guidance_scale = beat_guidance_scale if has_clock else 0.0
    asked = [GuidanceBranch(use_text=has_text, use_beat=True, weight=beat_guidance_scale)]
    if has_text:
        asked.append(
            GuidanceBranch(use_text=True, use_beat=False, weight=text_scale - beat_guidance_scale)
        )
        beat_guidance_scale = 0.0
    asked.append(
        GuidanceBranch(
            use_text=False, use_beat=False, weight=1.0 - text_scale - beat_guidance_scale
        )
    )
    return [voice for voice in asked if voice.weight]


class WindowDecoder:
    """One window of a model with its cache: codes in, scores of the next codes out.

    Args:
        weights: the model, in eval mode.
        text: a row for each clip, or None.
        clips: clips written side by side.
        guidance_scale, beat_guidance_scale: see `guidance_branches`; each voice is a row a clip.
        clock: a row for each clip, or None.
    """

    def __init__(
        self,
        weights: StepWeights,
        text: TextEmbeddings | None,
        clips: int = 1,
        guidance_scale: float = 1.0,
        clock: BeatGrid | None = None,
        beat_guidance_scale: float = 1.0,
    ) -> None:
        if text is not None and len(text) != clips:
            raise ConfigError(f"got {len(text)} rows of text; expected {clips}")
        if text is not None and text.is_empty:
            text = None
        if clock is not None and clock.is_empty:
            clock = None
        self.weights, self.model, self.clips, self.clock = weights, weights.model, clips, clock
        self.guidance_branches = guidance_branches(
            text is not None, clock is not None, guidance_scale, beat_guidance_scale
        )
        self.rows = len(self.guidance_branches) * clips
        self.device = self.model.code_embedding.weight.device
        self._shares = torch.tensor(
            [voice.weight for voice in self.guidance_branches], device=self.device
        )
        self.cache = self.model.make_cache(self.rows)
        with torch.inference_mode():
            self.condition = self._condition(text)
        self.parts = [part.contiguous() for part in self.condition.unbind(1)]

    def _condition(self, text: TextEmbeddings | None) -> Tensor:
        silent = self.model.condition(None, self.clips)
        spoken = silent
        if text is not None:
            spoken = self.model.condition(text.to(self.device), self.clips)
        return torch.cat([spoken if voice.use_text else silent for voice in self.guidance_branches])

    @torch.inference_mode()
    def begin(self, order: Tensor, known: Tensor, first_frame: int = 0) -> Tensor:
        """Start a window: take the codes that are known and score the next ones.

        Args:
            order: int64 [length], raster indices of the cells in the order they are read.
            known: int64 [clips, n], the codes of the first n cells, n below length.
            first_frame: where in the clip the window begins, for the clock.

        Returns:
            float [clips, codebook_size], guidance applied.
        """
        order = order.to(self.device)[None]
        length, config = order.shape[1], self.model.config
        assert known.shape[1] < length <= config.window_tokens
        rotary = self.model.rotary(order)
        self._turns = [
            functional.pad(table[0].transpose(0, 1), (0, 0, 0, config.num_kv_heads)).contiguous()
            for table in (rotary.cos, rotary.sin)
        ]
        steps = neighbor_steps(order, config.num_bands, NEIGHBORS)[0]
        bands = length + 1 + order[0] % config.num_bands
        self._first_entries = self.model.first_entries(order[0])
        self._heads = (self._first_entries // config.codebook_size).tolist()
        now = torch.arange(length, device=self.device)
        self._sources = torch.cat((now[:, None], steps + 1, bands[:, None]), dim=1)
        # What inputs are made of, by column: nothing, the codes read so far, the bands' numbers.
        self._seen = torch.full((self.rows, length + 1 + config.num_bands), config.bos_id)
        self._seen = self._seen.to(self.device)
        self._seen[:, length + 1 :] = torch.arange(config.num_bands)
        self._ticks = self._tick(order, first_frame)
        self.cache.truncate(0)
        self._take_known(known.to(self.device), rotary, order)
        return self._scores()

    def step(self, codes: Tensor) -> Tensor:
        """Take the codes, int64 [clips], of the cells scored last; score the next ones."""
        with torch.inference_mode():
            column = self._seen[:, self.cache.length]
            first = self._first_entries[self.cache.length - 1]
            column.view(-1, self.clips).copy_(codes.to(self.device) + first)
            return self._scores()

    @torch.inference_mode()
    def text_log_likelihood_ratio(self, codes: Tensor) -> Tensor:
        """Return by how many nats the text makes codes, int64 [clips], of the cells scored last
        likelier; 0 where nobody who does not hear it is asked.
        """
        if self.guidance_branches[0].use_text == self.guidance_branches[-1].use_text:
            return torch.zeros(self.clips)
        sampled = codes.to(self.device)[:, None]
        spoken, silent = (
            functional.log_softmax(self._logits[index], dim=1).gather(1, sampled)
            for index in (0, -1)
        )
        return (spoken - silent)[:, 0].cpu()

    def _take_known(self, known: Tensor, rotary: RotaryTable, order: Tensor) -> None:
        count = known.shape[1]
        if not count:
            return
        tokens = known.repeat(self.rows // self.clips, 1)
        self._seen[:, 1 : count + 1] = tokens + self._first_entries[:count]
        x = self.model.embed(tokens, order[:, :count])
        if self._ticks is not None:
            x = x + self._ticks[:, :count]
        self.model.transformer(x, self.condition, rotary[:count], self.cache)

    def _tick(self, order: Tensor, first_frame: int) -> Tensor | None:
        """Return what the clock adds to each position, float [rows, length, model_dim]."""
        if self.clock is None:
            return None
        ticks = self.model.ticks(self.clock.at(first_frame), order.expand(self.clips, -1))
        none = torch.zeros_like(ticks)
        return torch.cat([ticks if voice.use_beat else none for voice in self.guidance_branches])

    def _scores(self) -> Tensor:
        head = self.weights.heads[self._heads[self.cache.length]]
        self._logits = head(self._run()).float().view(len(self.guidance_branches), self.clips, -1)
        together: Tensor = self._shares @ self._logits.flatten(1)
        return together.view(self.clips, -1).cpu()

    def _run(self) -> Tensor:
        """Run the position after those in the cache; return float [rows, model_dim]."""
        weights, config, place = self.weights, self.model.config, self.cache.length
        width, half, kv_heads = (config.model_dim,), config.head_dim // 2, config.num_kv_heads
        asking, holding = config.num_heads, config.num_heads + kv_heads
        turn_cos = weights.gains * self._turns[0][place]
        turn_sin = weights.swapped_gains * self._turns[1][place]
        wanted = self._seen[:, self._sources[place]] + weights.places
        x = functional.embedding_bag(wanted, weights.table, mode="sum")
        if self._ticks is not None:
            x = x + self._ticks[:, place]
        x = self.model.transformer.input_norm(x)
        parts = self.parts
        for index in range(config.num_layers):
            scale, shift, mlp_scale, mlp_shift = parts[4 * index : 4 * index + 4]
            heard = torch.addcmul(shift, functional.layer_norm(x, width), scale)
            made = weights.qkv[index](heard).view(self.rows, -1, config.head_dim)
            even = functional.layer_norm(made, (config.head_dim,))
            turned = torch.addcmul(
                even * turn_cos[index], even.roll(half, dims=-1), turn_sin[index]
            )
            keys, values = self.cache.layers[index].append(
                turned[:, asking:holding, None], made[:, holding:, None]
            )
            asked = turned[:, :asking].view(self.rows, kv_heads, -1, config.head_dim)
            mixed = functional.scaled_dot_product_attention(asked, keys, values)
            x = x + weights.out[index](mixed.reshape(self.rows, -1))
            heard = torch.addcmul(mlp_shift, functional.layer_norm(x, width), mlp_scale)
            x = x + weights.down[index](functional.relu(weights.up[index](heard)).square_())
        self.cache.advance(1)
        return torch.addcmul(parts[-1], functional.layer_norm(x, width), parts[-2])


def prepack_linear(weight: Tensor) -> Product:
    """Return the fastest product x -> x @ weight.T for a few rows x that this machine has."""
    weight = weight.detach()
    if weight.device.type == "cpu" and "fbgemm" in torch.backends.quantized.supported_engines:
        kept = torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), None)
        multiply = torch.ops.quantized.linear_dynamic_fp16
        return lambda x: multiply(x, kept)
    return lambda x: functional.linear(x, weight)


def _input_table(model: MusicLM) -> tuple[Tensor, Tensor]:
    """Return one table of all that an input is the sum of, and where each kind of row begins.

    Rows: the code before; then each neighbor's code, projected; then the bands.
    """
    config = model.config
    entries = config.num_entries + 1
    projections = model.neighbors.weight.view(config.model_dim, len(NEIGHBORS), config.code_dim)
    around = torch.einsum("ec,dnc->ned", model.code_vectors.weight, projections)
    table = torch.cat((model.code_matrix(), *around, model.band_embedding.weight))
    return table, torch.arange(len(NEIGHBORS) + 2, device=table.device) * entries
