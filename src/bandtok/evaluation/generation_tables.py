"""Tables and notes of `evaluate generation`: rows of text, the first one the heading."""

from __future__ import annotations

from collections.abc import Sequence

from bandtok.evaluation.clip_sets import SetMeasures
from bandtok.evaluation.comparison_sets import MeasuredSet
from bandtok.evaluation.copies import Copies
from bandtok.evaluation.generation import GenerationReport
from bandtok.evaluation.html_page import Table
from bandtok.evaluation.reconstruction_tables import estimate_cell
from bandtok.evaluation.tag_measures import TextControl

_COVERAGE = ("precision", "recall", "density", "coverage")
_DRIFT_NOTE = (
    "Long clips: level of the last 5 s over the first 5 s, spectral centroid and similarity "
    "(cosine of mean embeddings) of the last and the first 10 s, medians without sign; tempo of "
    "the last and the first 20 s where both have a clear pulse, octaves left aside; clips with "
    "samples at full scale, of what the tokens beside a clip decode to where there are any."
)


def generation_rows(report: GenerationReport) -> Table:
    """Return clips and baselines compared with the reference; the first row is the heading."""
    return _set_rows(report.sets, report.settings.embedder)


def coded_rows(report: GenerationReport) -> Table:
    """Return the same of the clips compared with the reference through the tokenizer."""
    return _set_rows(report.coded, report.settings.embedder)


def _set_rows(sets: Sequence[MeasuredSet], embedder: str) -> Table:
    rows = [
        [
            *("set", "clips", f"Frechet, {embedder}", "tag KL", *_COVERAGE),
            *("diversity", "silent", "frozen", "what it is"),
        ]
    ]
    for item in sets:
        found = item.measures
        shares = (
            [f"{getattr(found.coverage, name):.2f}" for name in _COVERAGE]
            if found.coverage
            else ["–"] * len(_COVERAGE)
        )
        rows.append(
            [
                item.name,
                str(found.clips),
                _frechet_cell(found),
                f"{found.tag_divergence:.3f}",
                *shares,
                "–" if found.diversity is None else f"{found.diversity:.2f}",
                str(found.silent),
                str(found.frozen),
                item.description,
            ]
        )
    return rows


def control_rows(control: TextControl) -> Table:
    """Return the areas by tag, the mean first; the first row is the heading."""
    rows = [["tag", "area", "95 % interval", "clips requesting it"]]
    for name, area in (("mean", control.mean), *control.tags.items()):
        interval = f"[{area.low:.3f}, {area.high:.3f}]"
        rows.append([name, f"{area.area:.3f}", interval, str(area.requested)])
    return rows


def _frechet_cell(found: SetMeasures) -> str:
    if found.frechet is None or found.frechet_error is None:
        return "– (too few windows)"
    error = 1.96 * found.frechet_error
    return f"{found.frechet.distance:.3f} ± {error:.3f}, n={found.frechet.count}"


def sound_rows(report: GenerationReport) -> Table:
    """Return level, onsets and movement of each set."""
    head = [
        "set",
        "level, dBFS",
        "onsets per second",
        "movement",
        "novelty",
        "continuity",
        "attack",
    ]
    rows = [head]
    for name, found in _named_sets(report):
        values = (
            *(found.level_dbfs, found.onsets_per_second, found.movement),
            *(found.novelty, found.continuity, found.attack),
        )
        rows.append([name, *map(estimate_cell, values)])
    return rows


def drift_rows(report: GenerationReport) -> list[list[str]]:
    """Return a row per set with long clips, real music first; nothing if there are none."""
    rows = [
        [
            *("set", "clips", "level, dB", "within 3 dB", "centroid, octaves (90 % below)"),
            *("similarity", "tempo within 4 %", "clipped"),
        ]
    ]
    for name, measures in _named_sets(report):
        if (found := measures.drift) is None:
            continue
        tempo = "–" if found.tempo_kept is None else f"{100 * found.tempo_kept:.0f} %"
        rows.append(
            [
                *(
                    name,
                    str(found.clips),
                    f"{found.level_db:.1f}",
                    f"{100 * found.level_kept:.0f} %",
                ),
                f"{found.centroid_octaves:.2f} ({found.centroid_octaves_high:.2f})",
                *(f"{found.similarity:.2f}", f"{tempo} of {found.pulses}", str(found.clipped)),
            ]
        )
    return rows if report.sets[0].measures.drift else []


def _named_sets(report: GenerationReport) -> list[tuple[str, SetMeasures]]:
    return [("reference", report.reference), *((one.name, one.measures) for one in report.sets)]


def copy_rows(copies: Copies) -> Table:
    """Return the longest run that each clip shares with training data, longest first."""
    rows = [["clip", "tokens", "seconds", "at, s", "training track", "at, s"]]
    for run in sorted(copies.clips, key=lambda run: -run.tokens):
        places = (run.seconds, run.clip_seconds, run.source_seconds)
        length, mine, theirs = (f"{value:.2f}" for value in places)
        rows.append([run.clip, str(run.tokens), length, mine, run.source or "–", theirs])
    return rows


def generated_rows(report: GenerationReport) -> Table:
    """Return a row per clip."""
    rows = [["clip", "prompt", "tags", "level, dBFS", "movement", "novelty", "remarks"]]
    for clip in report.clips:
        remarks = [name for name in ("silent", "frozen") if getattr(clip, name)]
        numbers = (f"{clip.level_dbfs:.1f}", f"{clip.movement:.3f}", f"{clip.novelty:.3f}")
        tags = ", ".join(clip.top_tags)
        rows.append([clip.name, clip.prompt, tags, *numbers, ", ".join(remarks)])
    return rows


def generation_notes(report: GenerationReport) -> list[str]:
    """Return what the tables mean, and what was left out."""
    found = report.sets[0].measures
    caveat = found.frechet.caveat if found.frechet else ""
    notes = [
        f"{found.clips} clips against {report.reference.clips} of the reference, all cut to "
        f"{report.seconds:g} s. Frechet: distance of embeddings ({report.settings.embedder}) at "
        "equal numbers n of windows on either side, ± 1.96 standard errors from resampled clips; "
        "lower is better. Tag KL: divergence of the mean tags (musicnn MTT) from the reference's, "
        "nats. Precision, recall, density and coverage: by five nearest neighbors of the clips' "
        "mean embeddings. Diversity: mean distance of two clips over the reference's; 1 is right. "
        f"{f'{caveat.capitalize()}.' if caveat else ''}".rstrip(),
        "Movement: mean change of the ln-mel from frame to frame. Novelty: mean difference of two "
        "half seconds. Continuity: how much nearer neighboring moments are than any two; 0 if "
        "their order is random. Attack: above 0 if sounds start faster than they end. Silent, "
        "frozen: clips of which more than half is inaudible or unchanging.",
    ]
    if found.drift:
        notes.append(_DRIFT_NOTE)
    if report.settings.baselines:
        notes.append(
            "Noise and token baselines are made of the reference's own clips, which makes them "
            "nearer to it than other music can be: compare them with the row of real music. "
            "Embeddings of a tagger hardly depend on the order of time; see continuity and attack."
        )
    if report.control:
        notes.append(
            "Text control: area under the ROC curve, clips whose prompt requests a tag against all "
            "others; 0.5 is chance. Intervals are over prompts. MSD tags captioned training music."
        )
    if report.clap:
        notes.append(f"CLAP score of clips and prompts: {estimate_cell(report.clap)}.")
    if report.copies:
        notes += _copy_notes(report.copies)
    return [*notes, *left_out_lines(report.left_out)]


def _copy_notes(copies: Copies) -> list[str]:
    longest = max(run.tokens for run in copies.clips)
    text = (
        f"Longest exact run of tokens shared with {copies.training_tokens:,} training tokens: "
        f"{longest} in {len(copies.clips)} clips (0: shorter than is looked for)"
    )
    if copies.reference:
        text += f"; {max(copies.reference)} in {len(copies.reference)} reference clips"
    return [f"{text}. Silence is shared by all and counts."]


def left_out_lines(left_out: Sequence[str]) -> list[str]:
    """Return a line that says which files were left out, if any were."""
    return [f"Left out: {line}" for line in left_out]
