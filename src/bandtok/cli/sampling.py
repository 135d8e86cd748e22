"""Options of the commands that generate music; the defaults are those of `GenerationConfig`."""

from __future__ import annotations

from typing import Annotated

import typer

Temperature = Annotated[
    float, typer.Option("--temperature", help="Sampling temperature; 0 is greedy.", min=0)
]
TopK = Annotated[
    int,
    typer.Option("--top-k", help="Sample from the k most probable tokens; 0 means all.", min=0),
]
TopP = Annotated[float, typer.Option("--top-p", help="Nucleus sampling threshold.", max=1)]
GuidanceScale = Annotated[
    float,
    typer.Option(
        "--guidance-scale", help="Classifier-free guidance by the prompt; 1 is none.", min=0
    ),
]
BeatGuidanceScale = Annotated[
    float,
    typer.Option("--beat-guidance-scale", help="Guidance by the beat; 0 is no beat.", min=0),
]
LevelStrength = Annotated[
    float,
    typer.Option(
        "--level-strength",
        help="Holds long clips and edits at the level around them; 0 is off.",
        min=0,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Such as 'A minor', 'Bb major' or F#m.  [default: the one that the prompt names]",
        show_default=False,
    ),
]
Chords = Annotated[
    str,
    typer.Option(
        "--chords",
        metavar="'Am F C G'",
        help="One chord per bar, repeated to the end: major and minor triads, N for none.",
        show_default=False,
    ),
]
Meter = Annotated[str, typer.Option("--meter", metavar="N/4", help="Beats per bar.")]
HarmonyGuidanceScale = Annotated[
    float,
    typer.Option("--harmony-guidance-scale", help="Guidance by chords and key; 0 is none.", min=0),
]
LARGEST_SEED = (1 << 63) - 1
Seed = Annotated[int, typer.Option("--seed", help="Random seed.", min=0, max=LARGEST_SEED)]
