"""The codec on tensors: waveform to codes and codes to waveform, exact however the input is cut.

    samples -> mel -> codes        codes -> mel -> samples

Two channels are the codes of their mean, and pan rows above them (:mod:`bandtok.stereo`).
Everything is computed in windows at fixed places with as much context as the networks can see. A
piece of music is taken to stand in silence. Knows nothing of files or text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import tee
from typing import Protocol

import torch
from torch import Tensor, nn

from bandtok.errors import AudioError, GridError
from bandtok.signal.mel import LogMel
from bandtok.signal.rumble_filter import RumbleFilter
from bandtok.signal.windows import WindowPlan, cut_overlapping, cut_windows, reflect_padded
from bandtok.stereo.rows import PanRows, beside
from bandtok.tokenizer.mel_tokenizer import MelTokenizer

WINDOW_FRAMES = 128
_STEP_FRAMES = 16


class MelVocoder(Protocol):
    """What the codec needs of a vocoder: ln-mel [1, n_mels, mel_frames] -> [1, 1, samples]."""

    @property
    def reach(self) -> int:
        """Mel frames on either side that a sample can depend on."""
        ...

    def __call__(self, mel: Tensor) -> Tensor: ...


class ExternalVocoder(nn.Module):
    """Any other mel vocoder, made to fit.

    Args:
        network: turns an ln-mel [batch, n_mels, mel_frames] into [batch, 1, mel_frames * hop].
        reach: mel frames on either side that a sample of its output can depend on.

    Example, with the public BigVGAN package and weights (same mel, see docs/vocoders.md)::

        network = bigvgan.BigVGAN.from_pretrained("nvidia/bigvgan_v2_44khz_128band_512x")
        tokenizer = bandtok.Tokenizer.from_pretrained(vocoder=ExternalVocoder(network, reach=64))
    """

    def __init__(self, network: nn.Module, reach: int) -> None:
        super().__init__()
        self.network, self.reach = network, reach

    def forward(self, mel: Tensor) -> Tensor:
        waveform: Tensor = self.network(mel)
        return waveform


@dataclass(frozen=True, kw_only=True)
class VocoderLoader:
    """A vocoder that is loaded by the first decode: encoding needs none."""

    load: Callable[[], MelVocoder]


class Codec:
    """Tokenizer and vocoder networks, wired.

    Args:
        network: mel <-> codes, in evaluation mode.
        vocoder: mel -> waveform; or what loads it when it is first needed.
        device: where both lie.
    """

    def __init__(
        self,
        network: MelTokenizer,
        vocoder: MelVocoder | VocoderLoader,
        device: str = "cpu",
    ) -> None:
        self.network, self.device = network, device
        self._vocoder_or_loader = vocoder
        self.config = config = network.config
        self.log_mel = LogMel(config.mel).to(device)
        self.fingerprint = code_fingerprint(network)
        self._encoder_plan = WindowPlan(
            core=WINDOW_FRAMES * config.reduction,
            halo=config.encoder_reach * config.reduction,
            step=_STEP_FRAMES * config.reduction,
        )
        self._decoder_plan = WindowPlan(
            core=WINDOW_FRAMES, halo=config.decoder_reach, step=_STEP_FRAMES
        )
        self.rumble_filter = RumbleFilter(config.mel.sample_rate, device)
        self._silent_mel = torch.full((config.mel.n_mels, 1), config.mel.silence, device=device)
        self._silent_codes = self._codes_of_silence()

    @cached_property
    def vocoder(self) -> MelVocoder:
        """Mel -> waveform, loaded by the first decode.

        Raises:
            CheckpointError: if it is missing, damaged or does not fit.
        """
        found = self._vocoder_or_loader
        return found.load() if isinstance(found, VocoderLoader) else found

    @cached_property
    def _vocoder_plan(self) -> WindowPlan:
        config = self.config
        filter_frames = -(-self.rumble_filter.context_samples // config.mel.hop_length)
        return WindowPlan(
            core=WINDOW_FRAMES * config.reduction,
            halo=self.vocoder.reach + filter_frames,
            step=_STEP_FRAMES * config.reduction,
        )

    @cached_property
    def pan_rows(self) -> PanRows:
        """What makes and reads the further rows of stereo grids.

        Raises:
            GridError: if the codebook is too small for them, or a frame has not as many codes as
                the mel image has rows.
        """
        if self.config.num_bands != self.config.image_rows:
            raise GridError(
                f"stereo needs {self.config.image_rows} codes a frame, a row of the mel image "
                f"each; this model has {self.config.num_bands}"
            )
        return PanRows(
            self.log_mel,
            num_bands=self.config.num_bands,
            reduction=self.config.reduction,
            codebook_size=self.config.codebook_size,
            window_frames=WINDOW_FRAMES,
            step_frames=_STEP_FRAMES,
        )

    @torch.inference_mode()
    def encode_blocks(
        self, blocks: Iterable[Tensor], known: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Encode a stream of mono samples in bounded memory.

        Args:
            blocks: float32 [n] pieces at the model's sample rate, cut anywhere.
            known: the first codes, [bands, frames], found before: whole windows of WINDOW_FRAMES
                frames. They are handed out as they are and nearly all work on them is saved.

        Yields:
            int64 [bands, n] pieces on the CPU; ceil(samples / samples_per_frame) frames in all.
        """
        plan, known_windows = self._encoder_plan, 0
        if known is not None:
            assert known.shape[1] % WINDOW_FRAMES == 0, "known codes are whole windows"
            known_windows = known.shape[1] // WINDOW_FRAMES
        mels = self._mel_blocks(blocks, known_windows - 1)
        for index, window in enumerate(cut_windows(mels, plan, self._silent_mel)):
            if known is not None and index < known_windows:
                yield known[:, index * WINDOW_FRAMES : (index + 1) * WINDOW_FRAMES]
                continue
            codes = self.network.encode_mel(window.columns[None])[0]
            first = plan.halo // self.config.reduction
            yield codes[:, first : first + window.valid // self.config.reduction].cpu()

    @torch.inference_mode()
    def decode_blocks(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Decode a stream of codes in bounded memory.

        Args:
            blocks: int64 [bands, n] pieces, cut anywhere.

        Yields:
            float32 [n] pieces of samples on the CPU, free of DC and of rumble below 20 Hz
            (`RumbleFilter`); frames * samples_per_frame in all.
        """
        plan, hop = self._vocoder_plan, self.config.mel.hop_length
        for window in cut_windows(self._decoded_mel(blocks), plan, self._silent_mel):
            waveform = self.rumble_filter(self.vocoder(window.columns[None])[0, 0])
            yield waveform[plan.halo * hop : (plan.halo + window.valid) * hop].cpu()

    @torch.inference_mode()
    def encode_stereo_blocks(
        self, blocks: Iterable[Tensor], known: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Encode a stream of two channels in bounded memory.

        Args:
            blocks: float32 [2, n] pieces of mid and side at the model's rate, cut anywhere.
            known: the first codes of mid, as for `encode_blocks`.

        Yields:
            int64 [bands + pan rows, n] on the CPU; the lower rows are the codes of mid alone.
        """
        for_mid, for_pan = tee(blocks)
        codes = self.encode_blocks((block[0] for block in for_mid), known)
        yield from beside(codes, self.pan_rows.measure(for_pan))

    @torch.inference_mode()
    def decode_stereo_blocks(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Decode a stream of int64 [bands + pan rows, n] pieces to float32 [2, n] on the CPU.

        Raises:
            GridError: if a token of a pan row is not one.
        """
        for_mid, for_pan = tee(blocks)
        bands = self.config.num_bands
        mid = self.decode_blocks(block[:bands] for block in for_mid)
        yield from self.pan_rows.spread(mid, (block[bands:] for block in for_pan))

    def encode_waveform(self, waveform: Tensor) -> Tensor:
        """Encode a batch, each row exactly as if alone.

        Args:
            waveform: float [batch, 1, samples] at the model's sample rate.

        Returns:
            int64 [batch, bands, frames].

        Raises:
            AudioError: if the shape is wrong or a sample is not finite.
        """
        if waveform.ndim != 3 or waveform.shape[1] != 1:
            raise AudioError(
                f"got a waveform of shape {tuple(waveform.shape)}; expected [batch, 1, samples]"
            )
        if not torch.isfinite(waveform).all():
            raise AudioError("the waveform holds NaN or infinity; expected finite numbers")
        empty = torch.zeros(self.config.num_bands, 0, dtype=torch.int64)
        rows = [
            torch.cat([empty, *self.encode_blocks([row[0].float()])], dim=1) for row in waveform
        ]
        return torch.stack(rows) if rows else empty.expand(0, *empty.shape)

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Decode a batch, each row exactly as if alone.

        Args:
            codes: int [batch, bands, frames], or with the pan rows of stereo above the bands.

        Returns:
            float32 [batch, 1, frames * samples_per_frame]; [batch, 2, ...] of stereo.

        Raises:
            GridError: if the shape is wrong or a code is not in the codebook.
        """
        bands, size = self.config.num_bands, self.config.codebook_size
        rows = codes.shape[1] if codes.ndim == 3 else 0
        stereo = rows > bands and rows == bands + self.pan_rows.num_rows
        if not (rows == bands or stereo) or codes.is_floating_point():
            raise GridError(
                f"got codes of shape {tuple(codes.shape)} and type {codes.dtype}; "
                f"expected integers [batch, {bands}, frames]"
            )
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < size:
            raise GridError(
                f"got codes from {int(codes.min())} to {int(codes.max())}; expected 0 to {size - 1}"
            )
        singles = [self._decode_one(row.long(), stereo) for row in codes]
        return torch.stack(singles) if singles else torch.zeros(0, 1 + stereo, 0)

    def _decode_one(self, codes: Tensor, stereo: bool) -> Tensor:
        if stereo:
            return torch.cat([torch.zeros(2, 0), *self.decode_stereo_blocks([codes])], dim=1)
        return torch.cat([torch.zeros(0), *self.decode_blocks([codes])])[None]

    def decode_mel(self, codes: Tensor) -> Tensor:
        """Decode codes [bands, frames] to the ln-mel [n_mels, mel_frames] the vocoder hears."""
        with torch.inference_mode():
            return torch.cat([self._silent_mel[:, :0], *self._decoded_mel([codes])], dim=1)

    def _decoded_mel(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Turn codes [bands, n] into ln-mel [n_mels, n * reduction]."""
        plan, reduction = self._decoder_plan, self.config.reduction
        moved = (block.to(self.device) for block in blocks)
        for window in cut_windows(moved, plan, self._silent_codes):
            # Cores begin at multiples of the noise's period, in a part of a piece as in the whole.
            mel = self.network.decode_codes(window.columns[None], first_frame=-plan.halo)[0]
            yield mel[:, plan.halo * reduction : (plan.halo + window.valid) * reduction]

    def _mel_blocks(self, blocks: Iterable[Tensor], skipped: int) -> Iterator[Tensor]:
        """Turn samples into ln-mel [n_mels, n], whole token frames in all.

        The first `skipped` pieces are silence instead.
        """
        padding = self.config.mel.padding
        stream = reflect_padded(blocks, padding, self.config.samples_per_frame)
        core = WINDOW_FRAMES * self.config.samples_per_frame
        silent = self._silent_mel.expand(-1, WINDOW_FRAMES * self.config.reduction)
        for index, samples in enumerate(cut_overlapping(stream, core, padding)):
            if index < skipped:
                yield silent
                continue
            yield self.log_mel.from_padded(samples[None, None].to(self.device))[0]

    def _codes_of_silence(self) -> Tensor:
        reach, reduction = self.config.encoder_reach, self.config.reduction
        silence = self._silent_mel[None].expand(1, -1, (2 * reach + 1) * reduction)
        return self.network.encode_mel(silence)[0, :, reach : reach + 1]


def code_fingerprint(network: MelTokenizer) -> str:
    """Return a hash over all that gives a code its meaning: config, encoder and codebook.

    The decoder is left out: it may improve while tokens written before stay good.
    """
    digest = hashlib.sha256()
    config = {k: v for k, v in network.config.to_dict().items() if not k.startswith("decoder")}
    digest.update(json.dumps(config, sort_keys=True).encode())
    for part in (network.encoder, network.quantizer):
        for key, tensor in sorted(part.state_dict().items()):
            digest.update(f"{key}{tuple(tensor.shape)}".encode())
            numbers = tensor.detach().cpu().float() + 0.0  # -0 and 0 are the same weight
            digest.update(numbers.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
