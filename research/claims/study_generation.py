"""Generated clips of language models on both kinds of token, beside real music and prompts."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bandtok.api.generation_config import GenerationConfig
from bandtok.api.tokenizer import Tokenizer
from bandtok.backends import load_text_encoder
from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.data.shards import TokenCorpus
from bandtok.errors import MissingDependency
from bandtok.evaluation.clip_sets import SetMeasures
from bandtok.evaluation.generation import (
    GenerationReport,
    GenerationSettings,
    evaluate_generation,
)
from bandtok.evaluation.prompts import ControlPrompt, named_prompts
from bandtok.evaluation.statistics import Estimate
from bandtok.lm.generate import CodeRequest, generate_codes
from bandtok.lm.networks import LanguageModel
from bandtok.lm.text_embeddings import TextEncoder
from bandtok.signal.audio import Audio, load_audio
from bandtok.tokens.grid import TokenGrid
from research.claims.clips import held_out_excerpts, keep_clip, sound_of
from research.claims.plots import plot_bars
from research.claims.results import Clip, Findings, Table
from research.claims.rows import (
    SYSTEMS,
    LanguageModelRow,
    Row,
    language_model_row,
    tokenizer_row,
)
from research.claims.run_store import RunStore
from research.claims.scales import Scale
from research.claims.significance import (
    Difference,
    cell,
    combined,
    delta,
    difference_of,
    outcome,
)
from research.claims.study import BUDGET_NOTE, SOUND_NOTE, Place, how
from research.claims.study_prediction import CODES_NOTE, MODELS, model_rows

NAMES = ("band, 2D", "residual, 2D", "residual, 2D, delay")
_FOCUS = ("slow", "fast", "piano", "drums", "guitar", "quiet")
_PROMPTS_PER_CONCEPT = 8
_SAMPLING = GenerationConfig(beat_guidance_scale=1.0).sampling
_BATCH = 8
_NOTES = (
    (
        "clips",
        f"Temperature {_SAMPLING.temperature:g}, top {_SAMPLING.top_k}, guidance "
        f"{_SAMPLING.guidance_scale:g} where there is a prompt; seed n for clip n. Equally "
        "many clips of every model, and as many excerpts of held-out music, cut to their length.",
    ),
    (
        "judges",
        "Frechet distance on musicnn MTT embeddings of 3 s windows at the smaller set's number of "
        "windows, with 1.96 standard errors from resampled clips; it is biased upward at so few "
        "windows. 'decoded': held-out excerpts through the tokenizer, the best that its language "
        "model could do. Text control: area under the ROC curve of MTT tags between "
        "clips whose prompt asked for a tag and those whose did not; .5 is chance. Captions were "
        "made by another tagger (MSD). Longest run: tokens in a row that also stand in the "
        "training music.",
    ),
)


def generation_rows(scale: Scale) -> list[Row]:
    return list(model_rows(scale, NAMES))


def find_generation(store: RunStore, place: Place) -> Findings:
    """Generate with each model, and evaluate the clips."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in NAMES:
        rows = model_rows(store.scale, [name])
        found[name] = [
            _generated(store, row, first=name == NAMES[0] and row is rows[0]) for row in rows
        ]
    lines = [
        _line(name, str(seed), one)
        for name in NAMES
        for seed, one in zip(store.scale.seeds, found[name], strict=True)
    ]
    lines += [
        (f"{system}, decoded", str(seed), *_set_cells(_decoded(store, system, seed)), "–", "–")
        for system in SYSTEMS
        for seed in store.scale.seeds
    ]
    real = [_set_line(one) for one in found[NAMES[0]][0]["beside"]]
    return Findings(
        answer=_answer(found),
        tables=(
            Table(title="Generated clips", columns=_COLUMNS, rows=(*lines, *real)),
            how(BUDGET_NOTE, CODES_NOTE, *_NOTES, SOUND_NOTE),
        ),
        plots=_plots(place, found, store.scale.seeds),
        clips=_clips(store, place),
    )


def chosen_prompts(count: int) -> list[ControlPrompt]:
    """Return so many bundled prompts that the tags they ask for can be measured.

    They ask for one of a few concepts each, in turn; fewer prompts ask for fewer concepts.
    """
    concepts = _FOCUS[: max(2, min(len(_FOCUS), count // _PROMPTS_PER_CONCEPT))]
    prompts, chosen = named_prompts("bundled"), list[ControlPrompt]()
    while len(chosen) < count:
        wanted = concepts[len(chosen) % len(concepts)]
        asking = [one for one in prompts if wanted in one.concepts and one not in chosen]
        rest = [one for one in prompts if one not in chosen]
        if not rest:
            break
        chosen.append((asking or rest)[0])
    return chosen


def write_clips(
    folder: Path,
    model: LanguageModel,
    encoder: TextEncoder,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    seconds: float,
    rounds: int,
) -> None:
    """Write a clip and its tokens for each prompt, "" for none: 001.flac, 001.btk and so on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    samples = round(seconds * tokenizer.sample_rate)
    frames = -(-samples // tokenizer.samples_per_frame)
    for start in range(0, len(prompts), _BATCH):
        texts = list(prompts[start : start + _BATCH])
        states = encoder.encode(texts) if any(texts) else None
        request = CodeRequest(
            num_frames=frames,
            text=states,
            seeds=range(start, start + len(texts)),
            sampling=_SAMPLING,
        )
        codes = generate_codes(model, request)
        for number, one in enumerate(codes, start + 1):
            _save(folder / f"{number:03d}", one, tokenizer, samples, rounds)


def _save(path: Path, codes: np.ndarray, tokenizer: Tokenizer, samples: int, rounds: int) -> None:
    grid = TokenGrid(
        codes=codes,
        codebook_size=tokenizer.codebook_size,
        sample_rate=tokenizer.sample_rate,
        samples_per_frame=tokenizer.samples_per_frame,
        num_samples=samples,
        model_id=tokenizer.model_id,
        fingerprint=tokenizer.fingerprint,
    )
    grid.save(path.with_suffix(".btk"))
    sound = sound_of(grid.codes, tokenizer, rounds)
    Audio(sound.waveform[:, :samples], sound.sample_rate).save(path.with_suffix(".flac"))


def _folder(store: RunStore, row: Row, kind: str) -> Path:
    return store.folder / "generated" / row.name / kind


def _generated(store: RunStore, row: LanguageModelRow, *, first: bool) -> dict[str, Any]:
    scale = store.scale
    shards = store.shards(row.tokenizer, row.hours)
    settings = {
        "samples": scale.samples,
        "prompts": scale.prompts,
        "seconds": scale.sample_seconds,
        "rounds": scale.rounds,
        "sampling": asdict(_SAMPLING),
        "judge": _has_evaluator(),
    }
    return store.measured(
        f"generation-{row.name}", row, settings, lambda: _measure(store, row, shards, first)
    )


def _decoded(store: RunStore, system: str, seed: int) -> dict[str, Any] | None:
    """Measure held-out excerpts through a tokenizer alone."""
    scale, row = store.scale, tokenizer_row(store.scale, system, seed)

    def measure() -> dict[str, Any]:
        tokenizer, folder = store.tokenizer(row), _folder(store, row, "decoded")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        excerpts = held_out_excerpts(store, scale.samples, scale.sample_seconds)
        for number, excerpt in enumerate(excerpts, 1):
            audio = excerpt.resampled(tokenizer.sample_rate).mono()
            grid = tokenizer.encode(audio)
            sound = sound_of(grid.codes, tokenizer, scale.rounds)
            samples = audio.waveform.shape[1]
            cut = Audio(sound.waveform[:, :samples], sound.sample_rate)
            cut.save(folder / f"{number:03d}.flac")
        report = _measured_clips(store, row, "decoded", None, None)
        return {"measures": _measures(report.sets[0].measures) if report else None}

    settings = {
        "samples": scale.samples,
        "seconds": scale.sample_seconds,
        "rounds": scale.rounds,
        "judge": _has_evaluator(),
    }
    found = store.measured(f"decoded-{row.name}", row, settings, measure)
    measures: dict[str, Any] | None = found["measures"]
    return measures


def _has_evaluator() -> bool:
    return importlib.util.find_spec("musicnn") is not None


def _measure(
    store: RunStore, row: LanguageModelRow, shards: TokenCorpus, first: bool
) -> dict[str, Any]:
    """Generate and evaluate one model's clips; the first one also measures music and noise."""
    scale = store.scale
    network, tokenizer = store.language_model(row), store.tokenizer(row.tokenizer)
    model = TorchLanguageModel(network)
    encoder = load_text_encoder(network.config.text_encoder)
    prompts = chosen_prompts(scale.prompts) if _has_captions(shards) else []
    for kind, texts in (("free", [""] * scale.samples), ("prompted", [p.text for p in prompts])):
        write_clips(
            _folder(store, row, kind),
            model,
            encoder,
            tokenizer,
            texts,
            seconds=scale.sample_seconds,
            rounds=scale.rounds,
        )
    found: dict[str, Any] = {"measures": None, "beside": [], "control": None, "run_seconds": None}
    free = _measured_clips(store, row, "free", None, shards, baselines=first)
    if free is None:
        return found
    found["measures"] = _measures(free.sets[0].measures)
    found["beside"] = [{"name": s.name, **_measures(s.measures)} for s in free.sets[1:]]
    if free.copies:
        found["run_seconds"] = [run.seconds for run in free.copies.clips]
    prompted = _measured_clips(store, row, "prompted", prompts, None) if prompts else None
    if prompted and prompted.control:
        found["control"] = asdict(prompted.control.mean)
    return found


def _measured_clips(
    store: RunStore,
    row: Row,
    kind: str,
    prompts: Sequence[ControlPrompt] | None,
    shards: TokenCorpus | None,
    *,
    baselines: bool = False,
) -> GenerationReport | None:
    """Measure a folder of clips; None where the judge's weights are not installed."""
    settings = GenerationSettings(
        split=store.corpus.held_out, seconds=store.scale.sample_seconds, baselines=baselines
    )
    try:
        return evaluate_generation(
            _folder(store, row, kind),
            store.corpus.data,
            settings,
            prompts=prompts,
            train=shards.folder if shards else None,
        )
    except MissingDependency:
        return None


def _has_captions(shards: TokenCorpus) -> bool:
    return any(shard.segments or shard.style for shard in shards.split("train"))


def _measures(one: SetMeasures) -> dict[str, Any]:
    return {
        "clips": one.clips,
        "frechet": one.frechet.distance if one.frechet else None,
        "windows": one.frechet.count if one.frechet else None,
        "frechet_error": one.frechet_error,
        "coverage": one.coverage.coverage if one.coverage else None,
        "precision": one.coverage.precision if one.coverage else None,
        "diversity": one.diversity,
        "tag_divergence": one.tag_divergence,
        "silent": one.silent,
        "frozen": one.frozen,
    }


_COLUMNS = (
    "clips of",
    "seed",
    "clips",
    "Frechet distance",
    "windows",
    "coverage",
    "precision",
    "diversity",
    "tag divergence, nats",
    "silent, frozen",
    "text control, area",
    "longest run, s (median)",
)


def _line(name: str, seed: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    control = found["control"]
    runs = found["run_seconds"]
    area = "–"
    if control:
        area = f"{control['area']:.3f} [{control['low']:.3f}, {control['high']:.3f}]"
    return (
        name,
        seed,
        *_set_cells(found["measures"]),
        area,
        f"{float(np.median(runs)):.2f}" if runs else "–",
    )


def _set_line(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(one["name"]), "–", *_set_cells(one), "–", "–")


def _set_cells(one: Mapping[str, Any] | None) -> tuple[str, ...]:
    if one is None:
        return ("–",) * 8
    distance = _distance(one)
    parts = [one[key] for key in ("coverage", "precision", "diversity", "tag_divergence")]
    return (
        str(one["clips"]),
        cell(distance, 1),
        "–" if one["windows"] is None else str(one["windows"]),
        *("–" if part is None else f"{part:.2f}" for part in parts),
        f"{one['silent']}, {one['frozen']}",
    )


def _distance(one: Mapping[str, Any] | None) -> Estimate | None:
    if one is None or one["frechet"] is None:
        return None
    half = 1.96 * float(one["frechet_error"])
    mean = float(one["frechet"])
    return Estimate(mean=mean, low=mean - half, high=mean + half, count=int(one["clips"]))


def _distances(found: Sequence[Mapping[str, Any]]) -> list[Estimate]:
    distances = [_distance(one["measures"]) for one in found]
    return [one for one in distances if one is not None]


def _areas(found: Sequence[Mapping[str, Any]]) -> list[Estimate]:
    return [
        Estimate(
            mean=one["control"]["area"],
            low=one["control"]["low"],
            high=one["control"]["high"],
            count=one["control"]["asked"],
        )
        for one in found
        if one["control"]
    ]


def _difference(first: Sequence[Estimate], second: Sequence[Estimate]) -> Difference | None:
    if not first or len(first) != len(second):
        return None
    return difference_of(first, second)


def _answer(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    band, residual, delay = (found[name] for name in NAMES)
    frechet = _difference(_distances(band), _distances(residual))
    text = "Claim: language models on band tokens generate better music. "
    if frechet is None:
        text += (
            "The Frechet distance was not measured: too few windows, or no evaluator installed. "
        )
    else:
        values = (cell(combined(_distances(side)), 1) for side in (band, residual))
        text += (
            f"{outcome(frechet, -1)}: Frechet distance to held-out music {next(values)} for band "
            f"and {next(values)} for residual tokens, band minus residual {delta(frechet, 1)}. "
        )
        other = _difference(_distances(band), _distances(delay))
        if other:
            text += f"Against the delay pattern: {delta(other, 1)}. "
    control = _difference(_areas(band), _areas(residual))
    if control is None:
        return text + "Text control was not measured: too few prompts, or no captions."
    areas = [cell(combined(_areas(side))) for side in (band, residual)]
    return (
        f"{text}Text control (area, chance .5): {areas[0]} for band and {areas[1]} for residual "
        f"tokens; {outcome(control, 1).lower()}, {delta(control)}."
    )


def _plots(
    place: Place, found: Mapping[str, Sequence[Mapping[str, Any]]], seeds: Sequence[int]
) -> tuple[str, ...]:
    panels: dict[str, dict[str, Estimate]] = {"Frechet distance": {}, "text control, area": {}}
    for name, ones in found.items():
        for seed, one in zip(seeds, ones, strict=True):
            for label, estimates in (
                ("Frechet distance", _distances([one])),
                ("text control, area", _areas([one])),
            ):
                if estimates:
                    panels[label][f"{name}, seed {seed}"] = estimates[0]
    panels = {label: bars for label, bars in panels.items() if bars}
    return (plot_bars(place.plot("judged"), panels),) if panels else ()


def _clips(store: RunStore, place: Place) -> tuple[Clip, ...]:
    """Keep the first clips of each model's first seed."""
    scale, clips = store.scale, []
    prompts = chosen_prompts(scale.prompts)
    for name in NAMES:
        system, rope, order = MODELS[name]
        row = language_model_row(scale, system, scale.seeds[0], rope=rope, order=order)
        for kind, count in (("free", scale.kept_free), ("prompted", scale.kept_prompted)):
            files = sorted(_folder(store, row, kind).glob("*.flac"))[:count]
            for number, file in enumerate(files):
                prompt = prompts[number].text if kind == "prompted" else ""
                clips.append(
                    keep_clip(
                        place.folder,
                        place.name,
                        f"{kind}-{number + 1}-{row.name}",
                        load_audio(file),
                        TokenGrid.load(file.with_suffix(".btk")),
                        seconds=scale.kept_seconds,
                        rows_are_bands=system == "band",
                        title=f"{prompt or f'no prompt, clip {number + 1}'} ({name})",
                        group=prompt or f"No prompt, clip {number + 1}",
                        system=name,
                        prompt=prompt,
                    )
                )
    return tuple(sorted(clips, key=lambda clip: (clip.prompt != "", clip.group)))
