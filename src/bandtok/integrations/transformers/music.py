"""Text to music as a model of Hugging Face transformers; importing this registers the classes.

    prompt -> input_ids, attention_mask -> model.generate -> audio [batch, 1, samples]
    decoder_input_ids [batch, tokens], the start token first -> logits [batch, tokens, codes]

Tokens are codes, frame by frame and lowest band first; positions follow from their index in the
whole piece, so pieces may be longer than the model's window, which slides as in native generation.
"""

from __future__ import annotations

import copy
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForTextToWaveform,
    AutoTokenizer,
    BertTokenizer,
    GenerationConfig,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.generic import ModelOutput

from bandtok.api.generation_config import DEFAULT_DURATION_SECONDS
from bandtok.api.generation_config import GenerationConfig as NativeGenerationConfig
from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.checkpoint import local_model, own_or_bundled
from bandtok.errors import ConfigError
from bandtok.integrations.transformers.audio import BandTokConfig, BandTokModel
from bandtok.lm.beat import BeatGrid
from bandtok.lm.bert import Bert, load_bert
from bandtok.lm.bert_config import BertConfig
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.decoding import WindowDecoder
from bandtok.lm.model import MusicLM
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import MAX_TEXT_LENGTH, TextEmbeddings, pad_states, pooled_first
from bandtok.lm.text_encoder import BUNDLED_TEXT_ENCODER, VOCABULARY_FILE, read_text_encoder
from bandtok.lm.token_order import unflatten
from bandtok.model_specs import LM_SPEC, TOKENIZER_SPEC
from bandtok.torch_checkpoint import load_network

MODEL_TYPE = "bandtok_music"


class BandTokMusicConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Shape of the language model, its text encoder, and the audio tokenizer.

    Args:
        lm, text_encoder, audio: configs as dictionaries; None for those of the bundled model.

    Raises:
        ConfigError: for a language model of another text encoder than the bundled one, or that
            does not write frame by frame.
    """

    model_type = MODEL_TYPE

    def __init__(
        self,
        lm: dict[str, Any] | None = None,
        text_encoder: dict[str, Any] | None = None,
        audio: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.lm = lm or MusicLMConfig().to_dict()
        self.text_encoder = text_encoder or asdict(BertConfig())
        self.audio = audio or {}
        native = self.native_lm
        if native.text_encoder != "minilm" or native.order != "raster":
            raise ConfigError(
                f"got a language model of text encoder {native.text_encoder!r} and order "
                f"{native.order!r}; expected 'minilm' and 'raster', use bandtok.MusicModel"
            )
        self.vocab_size, self.num_bands = native.codebook_size, native.num_bands
        self.sampling_rate, self.frame_rate = native.sample_rate, native.frame_rate
        self.hidden_size, self.num_hidden_layers = native.model_dim, native.num_layers
        self.num_attention_heads = native.num_heads
        super().__init__(**{"is_encoder_decoder": True} | kwargs)

    @property
    def native_lm(self) -> MusicLMConfig:
        return MusicLMConfig.from_dict(self.lm)


class _TextEncoder(nn.Module):
    main_input_name = "input_ids"

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = Bert(config)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> BaseModelOutput:
        kept = input_ids[:, :MAX_TEXT_LENGTH]
        mask = None if attention_mask is None else attention_mask[:, :MAX_TEXT_LENGTH].bool()
        states = self.bert(kept, None if mask is None or mask.all() else mask)
        return BaseModelOutput(last_hidden_state=states)


@dataclass
class BandTokMusicOutput(ModelOutput):
    """What the model returns.

    Attributes:
        loss: mean cross-entropy in nats, where labels are given.
        logits: float [batch, tokens, codebook_size]; of the next token alone with a cache.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: MusicCache | None = None
    encoder_last_hidden_state: Tensor | None = None


class MusicCache:
    """Keys and values of a window, in memory of fixed size; all guidance branches in one batch.

    Args:
        decoder: the window.
    """

    def __init__(self, decoder: WindowDecoder) -> None:
        self._decoder, self._start, self._length = decoder, -1, 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens of the piece were read, the start token included."""
        return self._length

    def reorder_cache(self, beam_idx: Tensor) -> MusicCache:
        """Choose rows."""
        self._decoder = self._decoder.rows(beam_idx.tolist())
        return self

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """Score the next token, float32 [batch, codebook_size], guidance applied.

        Args:
            tokens: int64 [batch, length], the whole piece so far without the start token.
        """
        config, count = self._decoder.model.config, tokens.shape[1]
        bands, half = config.num_bands, config.window_frames // 2
        start = max(count // bands // half - 1, 0) * half
        if start == self._start and self._length == count:
            scores = self._decoder.step(tokens[:, -1])
        else:
            order = np.arange(2 * half * bands)
            scores = self._decoder.begin(order, tokens[:, start * bands :], start)
        self._start, self._length = start, count + 1
        return scores


class BandTokForTextToMusic(PreTrainedModel, GenerationMixin):
    """Prompts to music."""

    config_class = BandTokMusicConfig
    base_model_prefix = MODEL_TYPE
    main_input_name = "input_ids"

    def __init__(self, config: BandTokMusicConfig) -> None:
        super().__init__(config)
        self.lm = MusicLM(config.native_lm)
        self.text_encoder = _TextEncoder(BertConfig.from_dict(config.text_encoder))
        self.audio = BandTokModel(BandTokConfig(**config.audio))
        self.post_init()  # type: ignore[no-untyped-call]
        native = NativeGenerationConfig()
        frames = int(np.ceil(DEFAULT_DURATION_SECONDS * config.frame_rate))
        self.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=frames * config.num_bands,
            do_sample=True,
            temperature=native.temperature,
            top_k=native.top_k,
            top_p=native.top_p,
            guidance_scale=native.guidance_scale,
            decoder_start_token_id=config.vocab_size,
            pad_token_id=config.vocab_size,
        )

    @classmethod
    def from_native(cls, name: str | os.PathLike[str] | None = None) -> BandTokForTextToMusic:
        """Take over a native model.

        Args:
            name: as for :meth:`bandtok.MusicModel.from_pretrained`; the tokenizer is the one in the
                same folder, or the bundled one if there is none.

        Raises:
            CheckpointError: if it cannot be found or is damaged.
            ConfigError: for a language model that `BandTokMusicConfig` refuses.
        """
        name = local_model(name, ("lm", "tokenizer", "vocoder"))
        lm = load_network(LM_SPEC, name)
        bert, weights, _ = read_text_encoder(BUNDLED_TEXT_ENCODER)
        audio = BandTokModel.from_native(own_or_bundled(TOKENIZER_SPEC.name, name))
        shapes = {"tokenizer": audio.config.tokenizer, "vocoder": audio.config.vocoder}
        model = cls(BandTokMusicConfig(lm.config.to_dict(), asdict(bert), shapes))
        model.lm, model.audio = lm, audio
        model.text_encoder.bert = load_bert(BUNDLED_TEXT_ENCODER, bert, weights)
        model.eval()  # type: ignore[no-untyped-call]
        return model

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Return the text encoder."""
        return self.text_encoder

    def _init_weights(self, module: nn.Module) -> None:
        """Weights begin as in a new native model."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # a MusicCache is made by `prepare_inputs_for_generation`

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: MusicCache | None = None,
        cache: MusicCache | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> BandTokMusicOutput | tuple[Any, ...]:
        """Score each token given those before it and the text.

        Args:
            input_ids, attention_mask: int [batch, length], the prompts; None for no text.
            decoder_input_ids: int [batch, tokens], the start token first; with a cache the
                whole piece, else at most a window.
            encoder_outputs: of the text encoder, in place of input_ids.
            past_key_values, cache: the cache, by either name.
            labels: int [batch, tokens], the codes, from which the decoder's inputs follow.

        Raises:
            ConfigError: if decoder inputs are missing or longer than a window.
        """
        if encoder_outputs is None and input_ids is not None:
            encoder_outputs = self.text_encoder(input_ids, attention_mask)
        memory = past_key_values if past_key_values is not None else cache
        if decoder_input_ids is None and labels is not None:
            start = labels.new_full((len(labels), 1), self.config.vocab_size)
            decoder_input_ids = torch.cat((start, labels[:, :-1]), dim=1)
        if decoder_input_ids is None:
            raise ConfigError("got no decoder_input_ids; expected them, or labels")
        if memory is not None:
            scores = memory.logits(decoder_input_ids[:, 1:].cpu().numpy())
            logits = torch.from_numpy(scores.copy()).to(decoder_input_ids.device)[:, None]
        else:
            most = self.lm.config.window_tokens
            if decoder_input_ids.shape[1] > most:
                raise ConfigError(
                    f"got {decoder_input_ids.shape[1]} decoder_input_ids; expected at most {most}"
                )
            text = _text_embeddings(encoder_outputs, attention_mask)
            # The last token stands for the one to be predicted, which nothing depends on.
            tokens = functional.pad(decoder_input_ids[:, 1:], (0, 1))
            logits = self.lm(tokens, text)
        loss = None if labels is None else functional.cross_entropy(logits.mT, labels)
        states = None if encoder_outputs is None else encoder_outputs[0]
        output = BandTokMusicOutput(
            loss=loss, logits=logits, past_key_values=memory, encoder_last_hidden_state=states
        )
        return output.to_tuple() if return_dict is False else output

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        decoder_input_ids: Tensor,
        past_key_values: MusicCache | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        text_guidance: float = 1.0,
        bpm: float | None = None,
        beat_guidance: float = 1.0,
        **_: Any,
    ) -> dict[str, Any]:
        """Return what `forward` is called with for the next token."""
        if past_key_values is None or use_cache is False:
            rows = len(decoder_input_ids)
            beat = None if bpm is None else BeatGrid.of_tempos([bpm] * rows, self.config.frame_rate)
            sampling = SamplingConfig(
                guidance_scale=text_guidance, beat_guidance_scale=beat_guidance
            )
            text = _text_embeddings(encoder_outputs, attention_mask)
            model = TorchLanguageModel(self.lm)
            past_key_values = MusicCache(WindowDecoder(model, rows, text, beat, sampling))
        return {
            "decoder_input_ids": decoder_input_ids,
            "past_key_values": past_key_values,
            "encoder_outputs": encoder_outputs,
        }

    @torch.no_grad()
    def generate_codes(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        guidance_scale: float | None = None,
        bpm: float | None = None,
        beat_guidance_scale: float = NativeGenerationConfig.beat_guidance_scale,
        generation_config: GenerationConfig | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Generate codes int64 [batch, bands, frames].

        Args:
            input_ids, attention_mask: int [batch, length], the prompts.
            guidance_scale: how far to follow the prompt; None for that of `generation_config`.
            bpm: tempo; None for none.
            beat_guidance_scale: how far to follow the beat.
            generation_config, kwargs: as for `GenerationMixin.generate`; `max_new_tokens` counts
                codes, so `config.num_bands` per frame.

        Raises:
            ConfigError: if that is less than a frame.
        """
        settings = copy.deepcopy(generation_config or self.generation_config)
        scale = guidance_scale if guidance_scale is not None else settings.guidance_scale
        settings.guidance_scale = (
            1.0  # by the cache, in one batch; not by a processor of the library
        )
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if "cache" in kwargs:
            kwargs["past_key_values"] = kwargs.pop("cache")
        kwargs = settings.update(**kwargs)  # type: ignore[no-untyped-call]
        settings.return_dict_in_generate = False
        found: Any = super().generate(  # type: ignore[misc]
            input_ids,
            attention_mask=attention_mask,
            generation_config=settings,
            text_guidance=1.0 if scale is None else scale,
            bpm=bpm,
            beat_guidance=beat_guidance_scale,
            **kwargs,
        )
        bands, tokens = self.config.num_bands, found[:, 1:]
        frames = tokens.shape[1] // bands
        if not frames:
            raise ConfigError(f"got {tokens.shape[1]} new tokens; expected {bands} per frame")
        codes: Tensor = unflatten(tokens[:, : frames * bands], bands)
        return codes

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor | dict[str, Tensor]:
        """Generate audio, float [batch, 1, samples]; arguments as for `generate_codes`.

        With `return_dict_in_generate=True`: `{"sequences": codes, "audio": samples}`.
        """
        several = kwargs.pop("return_dict_in_generate", False)
        codes = self.generate_codes(input_ids, attention_mask, **kwargs)
        audio = self.audio.decode(codes).audio_values
        assert audio is not None
        return {"sequences": codes, "audio": audio} if several else audio


def text_tokenizer() -> BertTokenizer:
    """Return the tokenizer of prompts, to be saved beside the model."""
    vocabulary = (BUNDLED_TEXT_ENCODER / VOCABULARY_FILE).read_text("utf-8").splitlines()
    return BertTokenizer(
        vocab={piece: index for index, piece in enumerate(vocabulary)},
        do_lower_case=True,
        model_max_length=MAX_TEXT_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
    )


def _text_embeddings(
    encoded: BaseModelOutput | None, attention_mask: Tensor | None
) -> TextEmbeddings | None:
    """Return states with their mean first; a prompt without words, [CLS] and [SEP], has none."""
    if encoded is None:
        return None
    states = encoded[0].detach().float().cpu().numpy()
    mask = np.ones(states.shape[:2], bool)
    if attention_mask is not None:
        mask = attention_mask[:, : states.shape[1]].bool().cpu().numpy()
    rows = [
        row[real] if real.sum() > 2 else row[:0] for row, real in zip(states, mask, strict=True)
    ]
    return pad_states([pooled_first(row) if len(row) else row for row in rows], states.shape[2])


AutoConfig.register(MODEL_TYPE, BandTokMusicConfig)
AutoTokenizer.register(BandTokMusicConfig, BertTokenizer)  # type: ignore[no-untyped-call]
AutoModelForTextToWaveform.register(BandTokMusicConfig, BandTokForTextToMusic)
