"""The tokenizer as a model of Hugging Face transformers; importing this registers the classes.

    audio -> feature extractor -> input_values [batch, 1, samples], padding_mask [batch, samples]
          -> model.encode -> audio_codes [batch, bands, frames] -> model.decode -> audio_values

Codes and samples are those of :class:`bandtok.Tokenizer` on the torch back end, to the bit, padded
in a batch or not. Config, weights and preprocessor are saved in the library's own format; a native
model is taken over by `BandTokModel.from_native`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.models.auto import modeling_auto
from transformers.utils.generic import ModelOutput

from bandtok.backends.torch_codec import ExternalVocoder, TorchCodec
from bandtok.codec import Codec
from bandtok.errors import AudioError, GridError
from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.tokenizer.config import TokenizerConfig
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.torch_checkpoint import load_network, tokenizer_network
from bandtok.vocoder.config import VocoderConfig
from bandtok.vocoder.model import Vocoder

MODEL_TYPE = "bandtok"


class BandTokConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Shape of the tokenizer and its vocoder.

    Args:
        tokenizer, vocoder: native configs as dictionaries; None for those of the bundled model.
    """

    model_type = MODEL_TYPE

    def __init__(
        self,
        tokenizer: dict[str, Any] | None = None,
        vocoder: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.tokenizer = tokenizer or TokenizerConfig().to_dict()
        self.vocoder = vocoder or VocoderConfig().to_dict()
        native = self.native_tokenizer
        self.sampling_rate = native.mel.sample_rate
        self.hop_length = native.samples_per_frame
        self.num_bands, self.codebook_size = native.num_bands, native.codebook_size
        super().__init__(**kwargs)

    @property
    def native_tokenizer(self) -> TokenizerConfig:
        return TokenizerConfig.from_dict(self.tokenizer)

    @property
    def native_vocoder(self) -> VocoderConfig:
        return VocoderConfig.from_dict(self.vocoder)


class BandTokFeatureExtractor(SequenceFeatureExtractor):
    """Pads mono waveforms to a batch; resamples nothing.

    Args:
        sampling_rate: Hz that waveforms must have.
        padding_value: of what is added at the end.
    """

    model_input_names = ["input_values", "padding_mask"]  # noqa: RUF012

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 44_100,
        padding_value: float = 0.0,
        **kw: Any,
    ) -> None:
        super().__init__(feature_size, sampling_rate, padding_value, **kw)

    def __call__(
        self,
        raw_audio: Any,
        sampling_rate: int | None = None,
        return_tensors: str | None = "pt",
        **_: Any,
    ) -> BatchFeature:
        """Return input_values [batch, 1, samples] and padding_mask bool [batch, samples].

        Args:
            raw_audio: a waveform [samples], or a list of them, of any lengths.
            sampling_rate: Hz of the waveforms, to be checked.
            return_tensors: "pt" or "np".

        Raises:
            AudioError: for another rate or shape, or a sample that is not finite.
        """
        if sampling_rate is not None and sampling_rate != self.sampling_rate:
            raise AudioError(
                f"got audio at {sampling_rate} Hz; expected {self.sampling_rate} Hz, resample it"
            )
        several = isinstance(raw_audio, (list, tuple)) and np.ndim(raw_audio[0]) > 0
        rows = [np.asarray(row, np.float32) for row in (raw_audio if several else [raw_audio])]
        for row in rows:
            if row.ndim != 1 or not np.isfinite(row).all():
                raise AudioError(
                    f"got a waveform of shape {row.shape}; expected finite numbers [samples]"
                )
        length = max(map(len, rows))
        values = np.full((len(rows), 1, length), self.padding_value, np.float32)
        mask = np.zeros((len(rows), length), bool)
        for index, row in enumerate(rows):
            values[index, 0, : len(row)], mask[index, : len(row)] = row, True
        found = {"input_values": values, "padding_mask": mask}
        return BatchFeature(found, tensor_type=return_tensors)


@dataclass
class BandTokEncoderOutput(ModelOutput):
    """What `BandTokModel.encode` returns.

    Attributes:
        audio_codes: int64 [batch, bands, frames], 0 where a row is over.
        audio_codes_mask: bool [batch, frames].
    """

    audio_codes: Tensor | None = None
    audio_codes_mask: Tensor | None = None


@dataclass
class BandTokDecoderOutput(ModelOutput):
    """What `BandTokModel.decode` returns.

    Attributes:
        audio_values: float32 [batch, 1, samples], 0 where a row is over.
    """

    audio_values: Tensor | None = None


@dataclass
class BandTokOutput(ModelOutput):
    """What the model returns when called: codes and mask as `encode`, samples as `decode`."""

    audio_codes: Tensor | None = None
    audio_codes_mask: Tensor | None = None
    audio_values: Tensor | None = None


class BandTokModel(PreTrainedModel):
    """Audio to a 2D grid of tokens and back."""

    config_class = BandTokConfig
    base_model_prefix = MODEL_TYPE
    main_input_name = "input_values"

    def __init__(self, config: BandTokConfig) -> None:
        super().__init__(config)
        self.tokenizer: MelTokenizer = tokenizer_network(config.native_tokenizer)
        self.vocoder = Vocoder(config.native_vocoder)
        self._codecs: dict[str, Codec] = {}
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_native(cls, name: str | os.PathLike[str] | None = None) -> BandTokModel:
        """Take over a native model.

        Args:
            name: as for :meth:`bandtok.Tokenizer.from_pretrained`.

        Raises:
            CheckpointError: if it cannot be found or is damaged.
        """
        parts = {
            "tokenizer": load_network(TOKENIZER_SPEC, name),
            "vocoder": load_network(VOCODER_SPEC, name),
        }
        configs = {part: network.config.to_dict() for part, network in parts.items()}
        model = cls(BandTokConfig(**configs))
        for part, network in parts.items():
            getattr(model, part).load_state_dict(network.state_dict())
        model.eval()  # type: ignore[no-untyped-call]
        return model

    def _init_weights(self, module: nn.Module) -> None:
        """Weights begin as in a new native model."""

    def codec(self) -> Codec:
        """Return the native codec on these weights, on the device where they are."""
        device = str(self.device)
        if device not in self._codecs:
            for part in (self.tokenizer, self.vocoder):
                _fill_buffers(part.eval())
            vocoder = ExternalVocoder(self.vocoder, self.vocoder.reach).to(device)
            self._codecs[device] = Codec(TorchCodec(self.tokenizer, device), vocoder)
        return self._codecs[device]

    def encode(
        self, input_values: Tensor, padding_mask: Tensor | None = None
    ) -> BandTokEncoderOutput:
        """Encode waveforms, each row as if alone.

        Args:
            input_values: float [batch, 1, samples] at `config.sampling_rate`.
            padding_mask: bool [batch, samples], False behind the end of a row; None for no padding.

        Raises:
            AudioError: if a shape is wrong or a sample is not finite.
        """
        if input_values.ndim != 3 or input_values.shape[1] != 1:
            raise AudioError(
                f"got input_values {tuple(input_values.shape)}; expected [batch, 1, samples]"
            )
        lengths = _lengths(padding_mask, input_values.shape[0], input_values.shape[2])
        waveforms = input_values.detach().float().cpu().numpy()
        rows = [
            self.codec().encode_waveform(row[None, :, :length])[0]
            for row, length in zip(waveforms, lengths, strict=True)
        ]
        frames = max((row.shape[1] for row in rows), default=0)
        codes = np.zeros((len(rows), self.config.num_bands, frames), np.int64)
        mask = np.zeros((len(rows), frames), bool)
        for index, row in enumerate(rows):
            codes[index, :, : row.shape[1]], mask[index, : row.shape[1]] = row, True
        device = input_values.device
        return BandTokEncoderOutput(
            audio_codes=torch.from_numpy(codes).to(device),
            audio_codes_mask=torch.from_numpy(mask).to(device),
        )

    def decode(
        self, audio_codes: Tensor, audio_codes_mask: Tensor | None = None
    ) -> BandTokDecoderOutput:
        """Decode codes, each row as if alone.

        Args:
            audio_codes: int [batch, bands, frames].
            audio_codes_mask: bool [batch, frames], False behind the end of a row.

        Raises:
            GridError: if the shape is wrong or a code is not in the codebook.
        """
        if audio_codes.ndim != 3:
            raise GridError(
                f"got audio_codes {tuple(audio_codes.shape)}; expected [batch, bands, frames]"
            )
        lengths = _lengths(audio_codes_mask, audio_codes.shape[0], audio_codes.shape[2])
        codes = audio_codes.detach().cpu().numpy()
        samples = audio_codes.shape[2] * self.config.hop_length
        values = np.zeros((len(codes), 1, samples), np.float32)
        for index, (row, length) in enumerate(zip(codes, lengths, strict=True)):
            end = length * self.config.hop_length
            values[index, :, :end] = self.codec().decode_codes(row[None, :, :length])[0]
        return BandTokDecoderOutput(audio_values=torch.from_numpy(values).to(audio_codes.device))

    def forward(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> BandTokOutput | tuple[Any, ...]:
        """Encode and decode; audio_values are as long as input_values."""
        encoded = self.encode(input_values, padding_mask)
        codes, mask = encoded.audio_codes, encoded.audio_codes_mask
        assert codes is not None
        values = self.decode(codes, mask).audio_values
        assert values is not None
        values = values[..., : input_values.shape[-1]]
        output = BandTokOutput(audio_codes=codes, audio_codes_mask=mask, audio_values=values)
        return output.to_tuple() if return_dict is False else output


@torch.no_grad()
def _fill_buffers(network: MelTokenizer | Vocoder) -> None:
    """Fill the buffers that no file holds, such as windows, which the library leaves empty."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        fresh = (
            tokenizer_network(network.config)
            if isinstance(network, MelTokenizer)
            else Vocoder(network.config)
        )
    stored, new = network.state_dict(), dict(fresh.named_buffers())
    for name, buffer in network.named_buffers():
        if name not in stored:
            buffer.copy_(new[name])


def _lengths(mask: Tensor | None, rows: int, length: int) -> Sequence[int]:
    """Return how many positions of each row are not padding."""
    if mask is None:
        return [length] * rows
    if mask.shape != (rows, length):
        raise AudioError(f"got a mask {tuple(mask.shape)}; expected [{rows}, {length}]")
    found: list[int] = mask.long().sum(dim=1).tolist()
    return found


AutoConfig.register(MODEL_TYPE, BandTokConfig)
AutoFeatureExtractor.register(BandTokConfig, BandTokFeatureExtractor)  # type: ignore[no-untyped-call]
AutoModel.register(BandTokConfig, BandTokModel)
if hasattr(modeling_auto, "AutoModelForAudioTokenization"):
    modeling_auto.AutoModelForAudioTokenization.register(BandTokConfig, BandTokModel)
