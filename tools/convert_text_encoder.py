"""Convert the published all-MiniLM-L6-v2 to the bundled text encoder.

    python -m tools.convert_text_encoder UPSTREAM_FOLDER [-o OUTPUT_FOLDER]

UPSTREAM_FOLDER holds model.safetensors, config.json and vocab.txt of the hub model
sentence-transformers/all-MiniLM-L6-v2; their SHA-256 must be those below. The pooler, which nothing
uses, and the position ids, which are 0, 1, 2, ..., are left out; matrices are packed to 10 bits
with one scale per row (see bandtok.lm.packed_weights), vectors stay in float32.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from safetensors.numpy import load, save

from bandtok.export import export_text_encoder
from bandtok.lm.bert_config import BertConfig
from bandtok.lm.packed_weights import pack_tensors
from bandtok.lm.text_encoder import (
    BUNDLED_TEXT_ENCODER,
    CONFIG_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
)
from bandtok.tokens.atomic import write_bytes

UPSTREAM_SHA256 = {
    WEIGHTS_FILE: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    CONFIG_FILE: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    VOCABULARY_FILE: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
LEFT_OUT = ("pooler.", "embeddings.position_ids")


def convert(upstream: Path, output: Path) -> None:
    """Write the bundled text encoder, byte for byte the same from the same upstream files."""
    content = {name: (upstream / name).read_bytes() for name in UPSTREAM_SHA256}
    for name, expected in UPSTREAM_SHA256.items():
        found = hashlib.sha256(content[name]).hexdigest()
        if found != expected:
            sys.exit(f"{upstream / name}: got SHA-256 {found}; expected {expected}")
    tensors = {
        name: tensor
        for name, tensor in load(content[WEIGHTS_FILE]).items()
        if not name.startswith(LEFT_OUT)
    }
    config = BertConfig.from_dict(json.loads(content[CONFIG_FILE]))
    # One key only: safetensors writes several in an order that changes from run to run.
    metadata = {"upstream_sha256": UPSTREAM_SHA256[WEIGHTS_FILE]}
    output.mkdir(parents=True, exist_ok=True)
    write_bytes(output / WEIGHTS_FILE, save(pack_tensors(tensors), metadata=metadata))
    write_bytes(output / VOCABULARY_FILE, content[VOCABULARY_FILE])
    described = {"kind": "text_encoder", "config": asdict(config)}
    write_bytes(output / CONFIG_FILE, (json.dumps(described, indent=2) + "\n").encode())
    export_text_encoder(output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("upstream", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=BUNDLED_TEXT_ENCODER)
    arguments = parser.parse_args()
    convert(arguments.upstream, arguments.output)
