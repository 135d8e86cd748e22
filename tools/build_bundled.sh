#!/usr/bin/env bash
# Makes every bundled weight from nothing, command by command.
#
#   tools/build_bundled.sh [STEP...]       all steps, or some of: corpora tokenizer vocoder sound
#                                          tokens lm reranker harmony text_encoder collect
#   DRY_RUN=1 tools/build_bundled.sh       prints the commands and runs none
#
# Results lie below WORK (default runs/bundled); `collect` puts them into WORK/weights, laid out like
# src/bandtok/weights. Interrupted trainings and corpora resume: repeat the step.
#
# Beside each command: minutes on one CPU core (unless said otherwise) and the result of the run that
# made the bundled weights (docs/lab/LOG.md). The bundled weights were made over several days while
# recipes changed: some parts ran with other settings on the way, so a rebuild comes close and is not
# identical. It gives a new codebook, hence a new code fingerprint: it does not replace the release,
# whose codes are frozen. The whole takes about 9 hours of one core and 20 minutes of one 80 GB GPU.
#
# Needs: the development environment (`make test` makes it), network access for the corpora,
# fluidsynth for rendered music, about 40 GB of disk space.
#
# Settings, by environment variable:
#   WORK      folder of all results (default runs/bundled)
#   PYTHON    interpreter (default .venv/bin/python)
#   DEVICE    of `lm` (default cuda; the rest runs on the CPU)
#   UPSTREAM  folder with the files of sentence-transformers/all-MiniLM-L6-v2 (for text_encoder)
set -euo pipefail

WORK=${WORK:-runs/bundled}
PYTHON=${PYTHON:-.venv/bin/python}
DEVICE=${DEVICE:-cuda}
UPSTREAM=${UPSTREAM:-$WORK/all-MiniLM-L6-v2}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

run() {
    printf '%q ' "$@"
    echo
    if [ -z "${DRY_RUN:-}" ]; then "$@"; fi
}
bandtok() { run "$PYTHON" -m bandtok "$@"; }
research() { run "$PYTHON" -m "research.$1" "${@:2}"; }

# Trains into the run folder RUN, or resumes there: train KIND RECIPE RUN ARGUMENTS...
train() {
    local resume=()
    if [ -d "$3/state" ]; then resume=(--resume); fi
    bandtok train "$1" "$2" --output "$3" "${@:4}" ${resume[@]+"${resume[@]}"}
}

corpora() {
    # 331 tracks, 20.4 h of openly licensed music: train 17.55 h, valid and test from the same
    # packages, whole packages unseen.
    research corpus openmusic --output "$WORK/openmusic"
    # Attributes and tags for captions. 24 to 51 times real time: 25 to 50 minutes.
    bandtok data describe "$WORK/openmusic"
    # 912 pieces in 34 styles. 27 minutes of music per minute: 22 minutes.
    research corpus rendered --output "$WORK/rendered" --hours 10
    # 2,164 solos and duets. 20 minutes.
    research corpus rendered --output "$WORK/solos" --hours 24 --seed 1 \
        --style solo --style solo-with-chords --style duet
    # A little rendered music for the last part of the tokenizer: 1.4 h. 3 minutes.
    research corpus rendered --output "$WORK/rendered-small" --hours 1.4 --seed 2
}

tokenizer() {
    # 5,400 steps, 128 minutes; mel distance below 15 kHz on the valid split: 0.2975.
    train tokenizer default "$WORK/tokenizer-1" --data "$WORK/openmusic"
    # A new codebook, easier to predict. 1,800 steps, 54 minutes; 0.3018, 0.35 nats per token less.
    # Codes are frozen from here.
    train tokenizer lm_friendly "$WORK/tokenizer-2" --data "$WORK/openmusic" \
        --data "$WORK/rendered-small" --init "$WORK/tokenizer-1"
}

vocoder() {
    # Real mels. 2,620 steps, 42 minutes; 0.260 on real mels.
    train vocoder default "$WORK/vocoder-1" --data "$WORK/openmusic" --set tokenizer= \
        --set decoded_mel_prob=0 --set learning_rate=8e-4 --set loop.steps=2620
    # Half of the mels decoded, with three corrections. 1,449 steps, 35 minutes; 0.231.
    train vocoder default "$WORK/vocoder-2" --data "$WORK/openmusic" --init "$WORK/vocoder-1" \
        --set "tokenizer=$WORK/tokenizer-2" --set loop.steps=1449
    # Decoded mels alone. 851 steps, 21 minutes; 0.3217 on decoded mels.
    train vocoder default "$WORK/vocoder-3" --data "$WORK/openmusic" --init "$WORK/vocoder-2" \
        --set "tokenizer=$WORK/tokenizer-2" --set decoded_mel_prob=1 --set resolution_weight=0.25 \
        --set loop.steps=851
    # Decoder and vocoder together. 1,300 steps, 37 minutes; 0.3092, decoded mel alone 0.3059.
    train vocoder joint "$WORK/joint" --data "$WORK/openmusic" --data "$WORK/rendered-small" \
        --init "$WORK/vocoder-3" --set "tokenizer=$WORK/tokenizer-2" --set loop.steps=1300 \
        --set loop.warmup_steps=60 --set resolution_weight=0.25 --set loud_weight=0.25 \
        --set synthetic_share=0.06 --set 'gain_db=[-24,12]' --set bandwidth_power=2
}

sound() {
    # The decoder against mel discriminators, grown by a fine stage and a noise input. 1,600 steps,
    # 33 minutes; flicker of the decoded mel 0.45 -> 0.77.
    train tokenizer sharpen "$WORK/sharpened" --data "$WORK/openmusic" \
        --init "$WORK/joint/model/tokenizer"
    # Texture, onsets, pitch, features of a tagger, mel discriminators. 2,400 steps, 80 minutes; test
    # split, whole chain: mel distance 0.351, flicker 0.96, grain 0.88, embedding distance 0.102. The
    # bundled weights are the mean of steps 1,770, 2,400 and 233 more: 0.347, 0.94, 0.86, 0.101.
    train vocoder joint_sharp "$WORK/sharp" --data "$WORK/openmusic" \
        --init "$WORK/joint/model/vocoder" --set "tokenizer=$WORK/sharpened"
}

tokens() {
    # 92.6 h of train music with variants, 57.4 M tokens. 31 minutes of two cores.
    bandtok data tokenize "$WORK/solos" "$WORK/openmusic" "$WORK/rendered" --output "$WORK/shards" \
        --model "$WORK/sharp/model/tokenizer" --offsets 2 --gain-db 0 --gain-db -5 \
        --semitones 0 --semitones 1
}

lm() {
    # 5,400 steps of 130,560 tokens, 8.1 minutes of an H200; 3.02 nats per token on the valid split.
    train lm bundled "$WORK/lm-1" --data "$WORK/shards" --set "device=$DEVICE" \
        --set "tokenizer=$WORK/sharp/model/tokenizer"
    # 5,049 steps at three quarters of the rates, 9.0 minutes of an H200; 2.790 with captions, 2.817
    # without, 2.767 with captions and beats.
    train lm bundled "$WORK/lm-2" --data "$WORK/shards" --init "$WORK/lm-1" --set tokenizer= \
        --set loop.steps=5300 --set learning_rate=1.5e-3 --set matrix_lr=0.015 \
        --set "device=$DEVICE" --max-minutes 9
}

reranker() {
    # 1,500 steps, 21 minutes; the right one of 64 captions first for 57 % of valid windows.
    train reranker bundled "$WORK/reranker-1" --data "$WORK/shards" --set device=cpu \
        --set "tokenizer=$WORK/sharp/model/tokenizer"
    # 2,004 steps, 9 minutes of ten cores (about 80 of one); 78 %.
    train reranker bundled "$WORK/reranker-2" --data "$WORK/shards" --init "$WORK/reranker-1" \
        --set tokenizer= --set device=cpu --set loop.steps=2500 --set learning_rate=1.5e-3
}

harmony() {
    # 1,500 steps, 2 minutes; chords of held-out bars 0.88, roots 0.91.
    research harmony train "$WORK/rendered" "$WORK/solos" --shards "$WORK/shards" \
        --output "$WORK/weights/harmony"
}

text_encoder() {
    # Seconds; byte for byte the bundled one, from upstream files of known hashes.
    run "$PYTHON" -m tools.convert_text_encoder "$UPSTREAM" -o "$WORK/weights/text_encoder"
}

collect() {
    # Seconds: config and weights of each model, with graphs for onnxruntime.
    bandtok export "$WORK/sharp/model/tokenizer" --output "$WORK/weights/tokenizer"
    bandtok export "$WORK/sharp/model/vocoder" --output "$WORK/weights/vocoder"
    bandtok export "$WORK/lm-2" --output "$WORK/weights/lm"
    bandtok export "$WORK/reranker-2" --output "$WORK/weights/reranker"
    # Try it: bandtok generate "solo harp" -o harp.wav --model WORK/weights
}

if [ $# = 0 ]; then
    set -- corpora tokenizer vocoder sound tokens lm reranker harmony text_encoder collect
fi
for step in "$@"; do
    case $step in
    corpora | tokenizer | vocoder | sound | tokens | lm | reranker | harmony | text_encoder | collect)
        "$step"
        ;;
    *)
        echo "got step '$step'; expected corpora, tokenizer, vocoder, sound, tokens, lm, reranker," \
            "harmony, text_encoder or collect" >&2
        exit 2
        ;;
    esac
done
