#!/usr/bin/env bash
# Trains decoder and vocoder jointly on one GPU, codes frozen, and exports both models.
#
#   tools/train_sound_gpu.sh
#
# Steps: fetch the corpus (unless DATA exists), train the recipe joint_sharp_gpu for MINUTES
# (bfloat16, 32 crops of 1.49 s per step), and leave the models in OUT/model/tokenizer and
# OUT/model/vocoder, for `bandtok ... --tokenizer OUT`. A second call goes on with the run in OUT.
# Token files stay valid: the script fails if the code fingerprint changes.
#
# On a machine without network access, prepare DATA elsewhere (a folder with a manifest and its
# .bandtok-cache of decoded tracks) and copy it.
#
# Expected result: not yet measured on a GPU. The same losses on one CPU core: see the experiment
# log. Measure with `bandtok evaluate reconstruction DATA --split test --model OUT`.
#
# Settings, by environment variable:
#   DATA       corpus folder (default runs/openmusic; fetched there if missing)
#   OUT        run folder (default runs/joint-sharp-gpu)
#   TOKENIZER  model whose decoder is trained on (default bundled)
#   VOCODER    model that the vocoder starts from (default bundled; empty: random weights)
#   RECIPE     vocoder recipe (default joint_sharp_gpu)
#   MINUTES    time of training (default 9)
#   STEPS      length of the learning rate schedule (default 3500); training ends at MINUTES or here
#   DEVICE     cuda, cpu or auto (default cuda)
#   SETTINGS   further settings, e.g. "batch_size=16 tagger_weight=0"
#   PYTHON     interpreter with bandtok and the musicnn package installed (default python3)
set -euo pipefail

DATA=${DATA:-runs/openmusic}
OUT=${OUT:-runs/joint-sharp-gpu}
TOKENIZER=${TOKENIZER:-bundled}
VOCODER=${VOCODER-bundled}
RECIPE=${RECIPE:-joint_sharp_gpu}
MINUTES=${MINUTES:-9}
STEPS=${STEPS:-3500}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}

bandtok() { "$PYTHON" -c 'from bandtok.cli.main import run; run()' "$@"; }

if [ ! -e "$DATA" ]; then
    "$PYTHON" -m research.corpus openmusic --output "$DATA"
fi

arguments=(--data "$DATA" --output "$OUT" --max-minutes "$MINUTES" --set "tokenizer=$TOKENIZER"
    --set "loop.steps=$STEPS" --set "device=$DEVICE")
for setting in ${SETTINGS:-}; do
    arguments+=(--set "$setting")
done
if [ -d "$OUT/state" ]; then
    arguments+=(--resume)
elif [ -n "$VOCODER" ]; then
    arguments+=(--init "$VOCODER")
fi
bandtok train vocoder "$RECIPE" "${arguments[@]}"

"$PYTHON" - "$TOKENIZER" "$OUT" <<'CODE'
import sys

from bandtok.model_specs import TOKENIZER_SPEC
from bandtok.torch_checkpoint import load_network, network_fingerprint

before, after = (
    network_fingerprint(load_network(TOKENIZER_SPEC, None if name == "bundled" else name))
    for name in sys.argv[1:]
)
if before != after:
    sys.exit(f"the codes changed: fingerprint {before} before, {after} after")
print(f"models in {sys.argv[2]}/model; code fingerprint {after}, as before")
CODE
