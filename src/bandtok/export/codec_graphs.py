"""The graphs of the codec: tokenizer encoder with code search, tokenizer decoder, vocoder.

Images are [1, channels, rows, columns], as in :mod:`bandtok.tokenizer.blocks`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bandtok.export.graph import Graph
from bandtok.tokenizer.mel_image import FINE_PATCH, NOISE_PERIOD_FRAMES, MelImageConfig
from bandtok.tokenizer.residual_config import ResidualConfig
from bandtok.vocoder.config import KERNEL_SIZE, VocoderConfig

_NORM_EPSILON = 1e-5
_BLOCK_ENTRIES = 64
Shapes = Mapping[str, tuple[int, ...]]


def encoder_graph(config: MelImageConfig, shapes: Shapes) -> Graph:
    """Build mel float32 [n_mels, mel_frames] -> codes int64 [bands, frames]."""
    graph = Graph("encoder", shapes)
    mel = graph.input("mel", np.float32, [config.mel.n_mels, "mel_frames"])
    shifted = graph.op("Sub", mel, graph.constant(config.mel_mean, np.float32))
    normalized = graph.op("Div", shifted, graph.constant(config.mel_std, np.float32))
    image = graph.reshape(normalized, 1, 1, config.mel.n_mels, -1)
    residual = isinstance(config, ResidualConfig)
    latents = _encode_image(graph, config, image, "encoder.image." if residual else "encoder.")
    if isinstance(config, ResidualConfig):
        columns = graph.reshape(latents, 1, config.band_dim * config.image_rows, 1, -1)
        latents = _conv(graph, columns, "encoder.mix")
        codes = _residual_codes(graph, config, latents)
    else:
        codes = _band_codes(graph, config, latents)
    graph.output("codes", codes, np.int64, [config.num_bands, "frames"])
    return graph


def decoder_graph(config: MelImageConfig, shapes: Shapes) -> Graph:
    """Build codes int64 [bands, frames], first_frame int64 [] -> mel float32 [n_mels, ...]."""
    graph = Graph("decoder", shapes)
    codes = graph.input("codes", np.int64, [config.num_bands, "frames"])
    first_frame = graph.input("first_frame", np.int64, [])
    prefix = "decoder."
    if isinstance(config, ResidualConfig):
        prefix = "decoder.image."
        image = _residual_image(graph, config, codes)
    else:
        entries = graph.op("Gather", graph.weight("quantizer.codebook"), codes)
        image = graph.op(
            "Unsqueeze", graph.transpose(entries, 2, 0, 1), graph.constant([0], np.int64)
        )
    normalized = _decode_image(graph, config, image, first_frame, prefix)
    mel = graph.op("Mul", normalized, graph.constant(config.mel_std, np.float32))
    mel = graph.op("Add", mel, graph.constant(config.mel_mean, np.float32))
    mel = graph.op("Max", mel, graph.constant(config.mel.silence, np.float32))
    graph.output("mel", mel, np.float32, [config.mel.n_mels, "mel_frames"])
    return graph


def vocoder_graph(config: VocoderConfig, shapes: Shapes) -> Graph:
    """Build the network before the inverse Fourier transform.

    mel float32 [n_mels, mel_frames] -> spectrum float32 [mel_frames, n_fft + 2], log magnitudes and
    phases, and target float32 [mel_frames, n_mels], the mel that the waveform shall have.
    """
    graph = Graph("vocoder", shapes)
    dim, reach = config.model_dim, KERNEL_SIZE // 2
    mel = graph.input("mel", np.float32, [config.mel.n_mels, "mel_frames"])
    shifted = graph.op("Sub", mel, graph.constant(config.mel_mean, np.float32))
    normalized = graph.op("Div", shifted, graph.constant(config.mel_std, np.float32))
    signal = graph.op(
        "Conv",
        graph.reshape(normalized, 1, config.mel.n_mels, -1),
        graph.weight("conv_in.weight"),
        graph.weight("conv_in.bias"),
        pads=[reach, reach],
    )
    columns = _norm(graph, _columns(graph, signal, dim), "norm_in")
    for index in range(config.num_blocks):
        columns = _convnext(graph, columns, dim, f"blocks.{index}.")
    columns = _norm(graph, columns, "norm_out")
    graph.output(
        "spectrum",
        _linear(graph, columns, "spectrum"),
        np.float32,
        ["mel_frames", config.mel.n_fft + 2],
    )
    refinement = _linear(graph, columns, "refinement")
    target = graph.op("Add", graph.transpose(mel, 1, 0), refinement)
    graph.output("target", target, np.float32, ["mel_frames", config.mel.n_mels])
    return graph


def _encode_image(graph: Graph, config: MelImageConfig, image: str, prefix: str) -> str:
    image = _fold(graph, image, 1, config.mel.n_mels, config.patch)
    image = _conv(graph, image, f"{prefix}base_in")
    image = graph.op("Add", image, graph.weight(f"{prefix}base_rows.weight"))
    for index in range(config.encoder_base_blocks):
        image = _residual_block(graph, image, f"{prefix}base_blocks.{index}.")
    image = _fold(graph, image, config.base_channels, 2 * config.image_rows, 2)
    image = _conv(graph, image, f"{prefix}grid_in")
    image = graph.op("Add", image, graph.weight(f"{prefix}grid_rows.weight"))
    for index in range(config.encoder_grid_blocks):
        image = _residual_block(graph, image, f"{prefix}grid_blocks.{index}.")
    return _conv(graph, _channel_norm(graph, image, f"{prefix}norm"), f"{prefix}out")


def _decode_image(
    graph: Graph, config: MelImageConfig, image: str, first_frame: str, prefix: str
) -> str:
    """Return the normalized mel [n_mels, mel_frames]."""
    image = _conv(graph, image, f"{prefix}grid_in")
    image = graph.op("Add", image, graph.weight(f"{prefix}grid_rows.weight"))
    for index in range(config.decoder_grid_blocks):
        image = _residual_block(graph, image, f"{prefix}grid_blocks.{index}.")
    image = _unfold(graph, _conv(graph, image, f"{prefix}base_in"), 2)
    image = graph.op("Add", image, graph.weight(f"{prefix}base_rows.weight"))
    if config.decoder_noise_channels:
        image = _noise(graph, image, first_frame, 2, f"{prefix}base_noise.")
    for index in range(config.decoder_base_blocks):
        image = _residual_block(graph, image, f"{prefix}base_blocks.{index}.")
    image = _channel_norm(graph, image, f"{prefix}norm")
    mel = _unfold(graph, _conv(graph, image, f"{prefix}out"), config.patch)
    if config.decoder_fine_blocks:
        fine = _fine_stage(graph, config, image, first_frame, f"{prefix}fine.")
        mel = graph.op("Add", mel, fine)
    return graph.reshape(mel, config.mel.n_mels, -1)


def _fine_stage(
    graph: Graph, config: MelImageConfig, image: str, first_frame: str, prefix: str
) -> str:
    scale = config.patch // FINE_PATCH
    image = _unfold(graph, _conv(graph, image, f"{prefix}enter"), scale)
    image = graph.op("Add", image, graph.weight(f"{prefix}rows.weight"))
    if config.decoder_noise_channels:
        columns = config.reduction // FINE_PATCH
        image = _noise(graph, image, first_frame, columns, f"{prefix}noise.")
    for index in range(config.decoder_fine_blocks):
        image = _residual_block(graph, image, f"{prefix}blocks.{index}.")
    image = _channel_norm(graph, image, f"{prefix}norm")
    return _unfold(graph, _conv(graph, image, f"{prefix}out"), FINE_PATCH)


def _noise(graph: Graph, image: str, first_frame: str, columns: int, prefix: str) -> str:
    """Add the projected noise tile, which repeats, from token `first_frame` on."""
    width = graph.op("Gather", graph.op("Shape", image), graph.constant(3, np.int64))
    scale = graph.constant(columns, np.int64)
    first = graph.op("Mul", first_frame, scale)
    positions = graph.op("Range", first, graph.op("Add", first, width), graph.constant(1, np.int64))
    period = graph.constant(NOISE_PERIOD_FRAMES * columns, np.int64)
    wrapped = graph.op("Mod", positions, period)
    noise = graph.op("Gather", graph.weight(f"{prefix}tile"), wrapped, axis=3)
    projected = graph.op("Conv", noise, graph.weight(f"{prefix}project.weight"))
    return graph.op("Add", image, projected)


def _residual_block(graph: Graph, image: str, prefix: str) -> str:
    inner = _conv(graph, _channel_norm(graph, image, f"{prefix}norm"), f"{prefix}expand")
    inner = graph.op("Mul", inner, graph.op("Sigmoid", inner))
    return graph.op("Add", image, _conv(graph, inner, f"{prefix}project"))


def _conv(graph: Graph, image: str, name: str) -> str:
    size = graph.shapes[f"{name}.weight"][-1]
    return graph.op(
        "Conv",
        image,
        graph.weight(f"{name}.weight"),
        graph.weight(f"{name}.bias"),
        pads=[size // 2] * 4,
    )


def _channel_norm(graph: Graph, image: str, name: str) -> str:
    last = _norm(graph, graph.transpose(image, 0, 2, 3, 1), name)
    return graph.transpose(last, 0, 3, 1, 2)


def _norm(graph: Graph, values: str, name: str) -> str:
    return graph.op(
        "LayerNormalization",
        values,
        graph.weight(f"{name}.weight"),
        graph.weight(f"{name}.bias"),
        axis=-1,
        epsilon=_NORM_EPSILON,
    )


def _fold(graph: Graph, image: str, channels: int, rows: int, size: int) -> str:
    """Move `size` x `size` squares of positions into the channels."""
    image = graph.reshape(image, channels, rows // size, size, -1, size)
    image = graph.transpose(image, 0, 2, 4, 1, 3)
    return graph.reshape(image, 1, channels * size * size, rows // size, -1)


def _unfold(graph: Graph, image: str, size: int) -> str:
    """Move channels back into `size` x `size` squares of positions."""
    return graph.op("DepthToSpace", image, blocksize=size, mode="CRD")


def _nearest(graph: Graph, rows: str, prefix: str) -> str:
    """Return the index of the nearest entry of each row [n, dim], int64 [1, n].

    The best block of entries is found first and the best entry in it second, as operators find a
    maximum far faster than its index. The lowest index wins a tie.
    """
    codebook, size = graph.weight(f"{prefix}codebook"), graph.shapes[f"{prefix}codebook"][0]
    norms = graph.op("ReduceSumSquare", codebook, graph.constant([1], np.int64), keepdims=0)
    bias = graph.op("Mul", norms, graph.constant(-0.5, np.float32))
    scores = graph.op("Gemm", rows, codebook, bias, transB=1)
    if size % _BLOCK_ENTRIES:
        index = graph.op("ArgMax", scores, axis=1, keepdims=0)
    else:
        blocks = graph.reshape(scores, 0, size // _BLOCK_ENTRIES, _BLOCK_ENTRIES)
        best = graph.op("ReduceMax", blocks, graph.constant([2], np.int64), keepdims=0)
        block = graph.op("ArgMax", best, axis=1, keepdims=1)
        inside = graph.op("ArgMax", graph.op("GatherND", blocks, block, batch_dims=1), axis=1)
        first = graph.op("Mul", block, graph.constant(_BLOCK_ENTRIES, np.int64))
        index = graph.reshape(graph.op("Add", first, inside), -1)
    return graph.op("Unsqueeze", index, graph.constant([0], np.int64))


def _band_codes(graph: Graph, config: MelImageConfig, latents: str) -> str:
    """Return codes [bands, frames] of latents [1, code_dim, bands, frames].

    Band by band: the scores of one fit into the processor's cache.
    """
    bands = config.num_bands
    rows = graph.transpose(graph.reshape(latents, config.code_dim, bands, -1), 1, 2, 0)
    parts = graph.ops("Split", rows, outputs=bands, axis=0, num_outputs=bands)
    codes = [
        _nearest(graph, graph.reshape(part, -1, config.code_dim), "quantizer.") for part in parts
    ]
    return graph.op("Concat", *codes, axis=0)


def _residual_codes(graph: Graph, config: ResidualConfig, latents: str) -> str:
    """Return codes [layers, frames] of latents [1, code_dim, 1, frames]."""
    left = graph.transpose(graph.reshape(latents, config.code_dim, -1), 1, 0)
    codes = []
    for layer in range(config.num_layers):
        prefix = f"quantizer.layers.{layer}."
        codes.append(_nearest(graph, left, prefix))
        chosen = graph.reshape(codes[-1], -1)
        entries = graph.op("Gather", graph.weight(f"{prefix}codebook"), chosen)
        left = graph.op("Sub", left, entries)
    return graph.op("Concat", *codes, axis=0)


def _residual_image(graph: Graph, config: ResidualConfig, codes: str) -> str:
    """Return the image [1, band_dim, image_rows, frames] of codes [layers, frames]."""
    layers = graph.ops("Split", codes, outputs=config.num_layers, num_outputs=config.num_layers)
    total = ""
    for layer, chosen in enumerate(layers):
        codebook = graph.weight(f"quantizer.layers.{layer}.codebook")
        entries = graph.op("Gather", codebook, graph.reshape(chosen, -1))
        total = graph.op("Add", total, entries) if total else entries
    latents = graph.reshape(graph.transpose(total, 1, 0), 1, config.code_dim, 1, -1)
    columns = _conv(graph, latents, "decoder.spread")
    return graph.reshape(columns, 1, config.band_dim, config.image_rows, -1)


def _columns(graph: Graph, signal: str, channels: int) -> str:
    """Turn a signal [1, channels, frames] into [frames, channels]."""
    return graph.transpose(graph.reshape(signal, channels, -1), 1, 0)


def _convnext(graph: Graph, columns: str, channels: int, prefix: str) -> str:
    """Compute a `ConvNeXtBlock1d` on [frames, channels]."""
    reach = KERNEL_SIZE // 2
    signal = graph.reshape(graph.transpose(columns, 1, 0), 1, channels, -1)
    inner = graph.op(
        "Conv",
        signal,
        graph.weight(f"{prefix}depthwise.weight"),
        graph.weight(f"{prefix}depthwise.bias"),
        pads=[reach, reach],
        group=channels,
    )
    inner = _norm(graph, _columns(graph, inner, channels), f"{prefix}norm")
    inner = graph.op("Gelu", _linear(graph, inner, f"{prefix}expand"), approximate="tanh")
    inner = _linear(graph, inner, f"{prefix}project")
    return graph.op("Add", columns, graph.op("Mul", inner, graph.weight(f"{prefix}scale")))


def _linear(graph: Graph, rows: str, name: str) -> str:
    return graph.op(
        "Gemm", rows, graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias"), transB=1
    )
