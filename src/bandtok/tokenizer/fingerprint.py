"""A hash over all that gives a code its meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from bandtok.tokenizer.mel_image import MelImageConfig

_PARTS = ("encoder.", "quantizer.")


def code_fingerprint(config: MelImageConfig, weights: Mapping[str, np.ndarray]) -> str:
    """Return a hash over a tokenizer's config, encoder and codebook.

    The decoder is left out: it may improve while tokens written before stay good.

    Args:
        config: of the tokenizer.
        weights: its state dict; other keys than those of encoder and quantizer are ignored.
    """
    digest = hashlib.sha256()
    values = {k: v for k, v in config.to_dict().items() if not k.startswith("decoder")}
    digest.update(json.dumps(values, sort_keys=True).encode())
    for part in _PARTS:
        for key in sorted(key for key in weights if key.startswith(part)):
            array = weights[key]
            digest.update(f"{key.removeprefix(part)}{tuple(array.shape)}".encode())
            numbers = array.astype(np.float32) + np.float32(0)  # -0 and 0 are the same weight
            digest.update(np.ascontiguousarray(numbers).data)
    return digest.hexdigest()[:32]
