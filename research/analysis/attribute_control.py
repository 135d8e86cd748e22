"""Does a clip have the instrument and the pace that its prompt asks for?

    rendered corpora + music model -> AttributeReport

One clip for each prompt, every prompt once. The classifiers learn from the corpora's training
pieces, as they are and through the codec; how often they are right on held-out ones bounds what can
be found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bandtok.api.clip import Clip
from bandtok.api.generation_config import GenerationConfig
from bandtok.api.music_model import MusicModel
from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import load_manifest, manifest_folder
from bandtok.data.segments import load_attributes
from bandtok.errors import ConfigError
from bandtok.evaluation.excerpts import Excerpt, choose_excerpts, load_excerpt, spread
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.signal.audio import Audio
from bandtok.tagger import Tagger, load_tagger
from research.analysis.attributes import (
    PACES,
    AttributeClassifier,
    Attributes,
    Described,
    describe,
    true_attributes,
)
from research.corpus.rendered.instruments import INSTRUMENTS
from research.corpus.rendered.plan import is_held_out, style_named

ONE_PLAYER_STYLES = ("solo", "solo-with-chords")
"""Styles in which one instrument plays alone, so that there is one right family."""
_PACE_WORDS = {
    "slow": ("slow", "at a slow tempo", "slow"),
    "medium": ("at a medium tempo", "mid-tempo", "moderately fast"),
    "fast": ("fast", "at a fast tempo", "fast"),
}
_WORDINGS = (
    "just one {instrument} and nothing else, {pace}",
    "{instrument} on its own, {pace}",
    "a recording of somebody who plays the {instrument} alone, {pace}",
    "nobody but a {instrument}: {pace}",
)
_RATE, _PARTS = 44_100, 3
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class AttributePrompt:
    """A prompt, what it asks for, and whether that combination was kept out of training."""

    text: str
    instrument: str
    requested: Attributes
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class AttributeSettings:
    """What is measured.

    Attributes:
        clips: prompts, one clip each.
        seconds: length of every clip.
        pieces: pieces at most that teach the pace.
        batch: clips generated side by side.
        seed: of the choice of prompts and of the clips.
        generation: how the clips are generated.
    """

    clips: int = 120
    seconds: float = 10.0
    pieces: int = 800
    batch: int = 8
    seed: int = 0
    generation: GenerationConfig = field(default_factory=GenerationConfig)

    def __post_init__(self) -> None:
        if min(self.clips, self.pieces, self.batch) < 1 or not self.seconds > 0:
            raise ConfigError(
                f"got {self.clips} clips of {self.seconds} s, {self.pieces} pieces, batches of "
                f"{self.batch}; expected all above 0"
            )


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How often found and true agree, on what.

    Attributes:
        what: the clips.
        family, pace: shares of clips.
    """

    what: str
    family: Estimate
    pace: Estimate


@dataclass(frozen=True, kw_only=True)
class JudgedPrompt:
    """One generated clip."""

    prompt: AttributePrompt
    found: Attributes


@dataclass(frozen=True, kw_only=True)
class AttributeReport:
    """Everything measured in one run.

    Attributes:
        settings: of the run.
        model: name of the music model.
        training: rendered excerpts of one player, and all clips that the classifiers learned from.
        families: that the classifiers tell apart.
        accuracies: of the classifiers on held-out renders, on the same through the codec, and of
            the generated clips.
        clips: every generated one.
    """

    settings: AttributeSettings
    model: str
    training: tuple[int, int]
    families: tuple[str, ...]
    accuracies: tuple[Accuracy, ...]
    clips: tuple[JudgedPrompt, ...]


def evaluate_attributes(
    corpora: Sequence[Path],
    model: MusicModel,
    settings: AttributeSettings | None = None,
    *,
    name: str = "",
    progress: Progress | None = None,
    keep: Callable[[int, AttributePrompt, Clip], None] | None = None,
) -> AttributeReport:
    """Generate clips from prompts and classify them.

    Args:
        corpora: what `bandtok data rendered` made.
        model: generates.
        settings: see there.
        name: of the model, for the report.
        progress: called with (clips found, clips in all), renders included.
        keep: called with each generated clip, its number and its prompt.

    Raises:
        DataError: if a corpus cannot be read or has too few pieces.
    """
    settings = settings or AttributeSettings()
    tagger = load_tagger("mtt")
    examples = list(_examples(corpora, settings))
    prompts = attribute_prompts(settings.clips, settings.seed)
    held_out = [one for one in examples if one.alone and not one.teaches]
    renders = [one for one in examples if one.teaches]
    alone = sum(one.alone for one in renders)
    count = _Counter(progress, 2 * len(held_out) + len(renders) + alone + len(prompts))

    def coded(one: _Example) -> Described:
        return count.passed(describe(_through(model.tokenizer, one.audio()), tagger))

    own = [count.passed(one.described(tagger)) for one in held_out]
    own_coded = [coded(one) for one in held_out]
    training = [(count.passed(one.described(tagger)), one.truth) for one in renders]
    training += [(coded(one), one.truth) for one in renders if one.alone]
    classifier = AttributeClassifier(
        [clip for clip, _ in training], [truth for _, truth in training]
    )
    made = [
        count.passed(describe(clip.audio, tagger))
        for clip in _generated(model, prompts, settings, keep)
    ]
    truth, groups = [one.truth for one in held_out], [one.excerpt.track.path for one in held_out]
    found = classifier.classify(made)
    requested = [prompt.requested for prompt in prompts]
    return AttributeReport(
        settings=settings,
        model=name,
        training=(alone, len(training)),
        families=classifier.families,
        accuracies=(
            accuracy("held-out renders", classifier.classify(own), truth, groups),
            accuracy("the same through the codec", classifier.classify(own_coded), truth, groups),
            accuracy("generated", found, requested, None),
        ),
        clips=tuple(
            JudgedPrompt(prompt=prompt, found=found)
            for prompt, found in zip(prompts, found, strict=True)
        ),
    )


def attribute_prompts(count: int, seed: int = 0) -> list[AttributePrompt]:
    """Return prompts for one instrument and a pace, each pair once before any comes again.

    Their wordings are none of those that captions have, so that no prompt was trained on.
    """
    leads = {
        INSTRUMENTS[key].words[0]: key
        for style in ONE_PLAYER_STYLES
        for key in reversed(style_named(style).layers[0].by)
    }
    pairs = [(word, pace) for word in sorted(leads) for pace in PACES]
    rng = np.random.default_rng(seed)
    prompts: list[AttributePrompt] = []
    while len(prompts) < count:
        for index in rng.permutation(len(pairs))[: count - len(prompts)]:
            word, pace = pairs[index]
            wording = _WORDINGS[int(rng.integers(len(_WORDINGS)))]
            said = _PACE_WORDS[pace][int(rng.integers(len(_PACE_WORDS[pace])))]
            prompts.append(
                AttributePrompt(
                    text=wording.format(instrument=word, pace=said),
                    instrument=word,
                    requested=Attributes(family=INSTRUMENTS[leads[word]].family, pace=pace),
                    held_out=is_held_out("solo", leads[word], pace),
                )
            )
    return prompts


def accuracy(
    what: str,
    found: Sequence[Attributes],
    truth: Sequence[Attributes],
    groups: Sequence[str] | None,
) -> Accuracy:
    """Return how often both agree; whole groups are drawn for the intervals.

    Raises:
        DataError: if there is no clip.
    """
    pairs = list(zip(found, truth, strict=True))
    return Accuracy(
        what=what,
        family=bootstrap_mean([float(one.family == other.family) for one, other in pairs], groups),
        pace=bootstrap_mean([float(one.pace == other.pace) for one, other in pairs], groups),
    )


@dataclass(frozen=True, kw_only=True)
class _Example:
    """A part of a rendered piece; `alone` if one instrument plays it."""

    excerpt: Excerpt
    root: Path
    truth: Attributes
    alone: bool

    @property
    def teaches(self) -> bool:
        return self.excerpt.track.split == "train"

    def audio(self) -> Audio:
        return load_excerpt(self.excerpt, self.root, _RATE)

    def described(self, tagger: Tagger) -> Described:
        return describe(self.audio(), tagger if self.alone else None)


def _examples(corpora: Sequence[Path], settings: AttributeSettings) -> Iterator[_Example]:
    """Yield parts of all pieces for one player, and one of some others of the training split."""
    others: list[_Example] = []
    for corpus in corpora:
        root, known = manifest_folder(corpus), load_attributes(manifest_folder(corpus))
        for track in load_manifest(corpus):
            if track.path not in known:
                continue
            alone = Path(track.path).parent.name in ONE_PLAYER_STYLES
            truth = true_attributes(known[track.path].segments[0])
            parts = choose_excerpts([track], settings.seconds, _PARTS if alone else 1)
            found = [_Example(excerpt=part, root=root, truth=truth, alone=alone) for part in parts]
            if alone:
                yield from found
            elif track.split == "train":
                others += found
    yield from (others[index] for index in spread(others, settings.pieces))


def _through(tokenizer: Tokenizer, audio: Audio) -> Audio:
    return tokenizer.decode(tokenizer.encode(audio))


def _generated(
    model: MusicModel,
    prompts: Sequence[AttributePrompt],
    settings: AttributeSettings,
    keep: Callable[[int, AttributePrompt, Clip], None] | None,
) -> Iterator[Clip]:
    for start in range(0, len(prompts), settings.batch):
        chosen = prompts[start : start + settings.batch]
        clips = model.generate_batch(
            [prompt.text for prompt in chosen],
            settings.seconds,
            [settings.seed + start + index for index in range(len(chosen))],
            config=settings.generation,
        )
        for number, (prompt, clip) in enumerate(zip(chosen, clips, strict=True), start):
            if keep:
                keep(number, prompt, clip)
            yield clip


class _Counter:
    """Counts what passes through."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def passed(self, described: Described) -> Described:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)
        return described
