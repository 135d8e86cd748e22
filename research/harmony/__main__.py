"""`python -m research.harmony`: train the harmony classifier, and measure how clips follow it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer

from bandtok.api.generation_config import GenerationConfig
from bandtok.api.music_model import MusicModel
from bandtok.cli.console import print_json, progress_bars
from bandtok.cli.group import OneLineErrors
from bandtok.cli.options import Json, Quiet
from bandtok.cli.sampling import HarmonyGuidanceScale
from bandtok.data.shards import TokenCorpus
from bandtok.evaluation.prompts import named_prompts
from bandtok.lm.harmony import HarmonyConfig
from bandtok.model_specs import HARMONY_SPEC, LM_SPEC
from bandtok.torch_checkpoint import load_network, save_network
from research.harmony.control import draw_wishes, generate_wishes, judge_clips
from research.harmony.judge import bars_of_pieces, teach_chords, teach_keys
from research.harmony.labels import LabeledTokens, labeled_tokens
from research.harmony.train import HarmonyTraining, held_out_accuracy, train_harmony

app = typer.Typer(
    cls=OneLineErrors,
    help="Train the harmony classifier, and measure how clips follow chords and keys.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Rendered = Annotated[
    list[Path],
    typer.Argument(metavar="RENDERED...", help="From 'python -m research.corpus rendered'."),
]
Shards = Annotated[
    Path | None,
    typer.Option("--shards", help="Their tokens; RENDERED/shards of each if not given."),
]


@app.command()
def train(
    rendered: Rendered,
    out: Annotated[Path, typer.Option("--output", "-o", help="Model folder.")],
    shards: Shards = None,
    steps: Annotated[int, typer.Option("--steps", min=1)] = HarmonyTraining.steps,
    json: Json = False,
) -> None:
    """Train the classifier on tokens of rendered music, whose chords are known."""
    pieces = _pieces(rendered, shards)
    spec = TokenCorpus(shards or rendered[0] / "shards").tokenizer
    config = HarmonyConfig(
        num_bands=spec.num_bands,
        codebook_size=spec.codebook_size,
        tokenizer_fingerprint=spec.fingerprint,
    )
    vectors = load_network(LM_SPEC, None).code_vectors.weight[: config.codebook_size]
    vectors = (vectors - vectors.mean(0)) / vectors.std(0)
    recipe = HarmonyTraining(steps=steps)
    network = train_harmony(
        pieces, vectors, config, recipe, lambda line: typer.echo(line, err=True)
    )
    save_network(network, out, HARMONY_SPEC.name)
    accuracy = asdict(held_out_accuracy(network, pieces))
    if json:
        print_json(accuracy)
    else:
        typer.echo(", ".join(f"{name} {value:.4g}" for name, value in accuracy.items()))


@app.command()
def evaluate(
    rendered: Rendered,
    shards: Shards = None,
    prompts: Annotated[str, typer.Option("--prompts", help="A fixed set or a file.")] = "bundled",
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", help="What is asked for: chords, key or neither; may be repeated."),
    ] = None,
    clips: Annotated[int, typer.Option("--max-clips", min=1, help="Of each kind.")] = 1000,
    seconds: Annotated[float, typer.Option("--duration", min=4.0)] = 10.0,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    num_candidates: Annotated[
        int, typer.Option("--num-candidates", min=1)
    ] = GenerationConfig.num_candidates,
    harmony_guidance_scale: HarmonyGuidanceScale = GenerationConfig.harmony_guidance_scale,
    quiet: Quiet = False,
) -> None:
    """Generate clips with chords or a key, and judge them by their sound."""
    torch.set_num_threads(1)
    model = MusicModel.from_pretrained()
    bars = bars_of_pieces(model.tokenizer, _pieces(rendered, shards), 320)
    chords, keys = teach_chords(bars), teach_keys(bars)
    judges = {
        name: {"exact": one.exact, "root": one.root, "held_out": one.count}
        for name, one in (("chords", chords), ("keys", keys))
    }
    texts = [prompt.text for prompt in named_prompts(prompts)][:clips]
    wishes = draw_wishes(texts, seed)
    config = GenerationConfig(
        num_candidates=num_candidates, harmony_guidance_scale=harmony_guidance_scale
    )
    found: dict[str, object] = {"judges": judges}
    for kind in kinds or ("chords", "key", "neither"):
        made = generate_wishes(model, wishes, kind=kind, seconds=seconds, config=config)
        with progress_bars(quiet) as progress, progress.task(kind) as report:
            followed = judge_clips(
                made, chords, keys, lambda done, tell=report: tell(done, len(wishes))
            )
        found[kind] = asdict(followed)
    print_json(found)


def _pieces(rendered: list[Path], shards: Path | None) -> list[LabeledTokens]:
    return [piece for one in rendered for piece in labeled_tokens(one, shards or one / "shards")]


if __name__ == "__main__":
    app()
