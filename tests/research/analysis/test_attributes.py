"""Judges of instrument and pace, and prompts that ask for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandtok.api.clip import Clip
from bandtok.api.music_model import MusicModel
from bandtok.data.captions import vary
from bandtok.data.manifest import Track, save_manifest
from bandtok.data.segments import Segment, save_attributes
from bandtok.data.shards import Shard
from bandtok.data.window_attributes import window_attributes
from bandtok.errors import ConfigError, DataError
from bandtok.signal.audio import Audio
from research.analysis import attribute_control
from research.analysis.__main__ import write_attribute_report
from research.analysis.attribute_control import (
    AttributePrompt,
    AttributeSettings,
    accuracy,
    attribute_prompts,
    evaluate_attributes,
)
from research.analysis.attributes import (
    AttributeClassifier,
    Attributes,
    Described,
    describe,
    true_attributes,
)
from research.corpus.rendered.plan import is_held_out

RATE = 22_050
SOUNDS = {"piano": ("keyboard", 2), "flute": ("woodwind", 7)}
BEATS = {"slow": 60, "fast": 150}


class FlatTagger:
    """Hears nothing, so that clips are scored by the spectrogram alone."""

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.zeros((2, 4), np.float32)


def note_train(harmonics: int, bpm: float, seed: int, seconds: float = 4.0) -> Audio:
    """Return notes with so many harmonics, two a beat."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * RATE))
    step = round(RATE * 30 / bpm)
    for start in range(int(rng.integers(step)), len(wave), step):
        time = np.arange(min(step, len(wave) - start)) / RATE
        pitch = 220.0 * 2 ** (rng.integers(0, 12) / 12)
        tone = sum(np.sin(2 * np.pi * pitch * h * time) / h for h in range(1, harmonics + 1))
        wave[start : start + len(time)] += tone * np.exp(-4 * time)
    return Audio(waveform=(0.2 * wave)[None].astype(np.float32), sample_rate=RATE)


def examples(first_seed: int, count: int) -> tuple[list[Audio], list[Attributes]]:
    audio, truth = [], []
    for number in range(count):
        for family, harmonics in SOUNDS.values():
            for pace, bpm in BEATS.items():
                seed = first_seed + number
                audio.append(note_train(harmonics, bpm * (0.95 + 0.02 * number), seed))
                truth.append(Attributes(family=family, pace=pace))
    return audio, truth


def test_judges_learn_sound_and_pace_from_examples() -> None:
    audio, truth = examples(0, 5)
    classifier = AttributeClassifier([describe(one, FlatTagger()) for one in audio], truth)
    assert classifier.families == ("keyboard", "woodwind")
    others, expected = examples(100, 3)
    found = classifier.classify([describe(one, FlatTagger()) for one in others])
    assert sum(a.family == b.family for a, b in zip(found, expected, strict=True)) >= 11
    assert sum(a.pace == b.pace for a, b in zip(found, expected, strict=True)) >= 11
    assert classifier.classify([]) == []


def test_silence_and_a_moment_can_be_described() -> None:
    silent = Audio(waveform=np.zeros((1, RATE), np.float32), sample_rate=RATE)
    moment = Audio(waveform=np.ones((1, 3), np.float32), sample_rate=RATE)
    for audio in (silent, moment):
        found = describe(audio, FlatTagger())
        assert found.sound is not None
        assert np.isfinite(found.sound).all()
        assert np.isfinite(found.pace).all()
    assert describe(silent, None).sound is None


def test_one_family_cannot_be_judged() -> None:
    clip = Described(sound=np.zeros(3, np.float32), pace=np.zeros(3, np.float32))
    truth = [Attributes(family="keyboard", pace="slow"), Attributes(family="keyboard", pace="fast")]
    with pytest.raises(DataError, match="1 families; expected at least two"):
        AttributeClassifier([clip, clip], truth)


def test_the_lead_is_the_first_instrument() -> None:
    words = {"instrument": {"flute": 1.0, "piano": 0.8}, "tempo": {"fast": 1.0}}
    segment = Segment(start_seconds=0.0, end_seconds=9.0, words=words)
    assert true_attributes(segment) == Attributes(family="woodwind", pace="fast")
    nothing = Segment(start_seconds=0.0, end_seconds=9.0)
    assert true_attributes(nothing) == Attributes(family="", pace="")


def test_prompts_ask_for_each_pair_once_and_were_never_captions() -> None:
    prompts = attribute_prompts(60, seed=1)
    assert attribute_prompts(60, seed=1) == prompts
    pairs = [(prompt.instrument, prompt.requested.pace) for prompt in prompts]
    assert len(set(pairs)) == len(prompts)
    assert any(prompt.held_out for prompt in attribute_prompts(500))
    assert is_held_out("solo", "piano", "slow") == any(
        prompt.held_out
        for prompt in attribute_prompts(500)
        if (prompt.instrument, prompt.requested.pace) == ("piano", "slow")
    )
    segment = Segment(
        start_seconds=0.0,
        end_seconds=9.0,
        words={"instrument": {"piano": 1.0}, "style": {"solo": 1.0}, "tempo": {"slow": 1.0}},
    )
    shard = Shard(
        file="",
        path="",
        offset_samples=0,
        num_frames=90,
        split="train",
        title="",
        style=["solo"],
        package="",
        frame_seconds=0.1,
        segments=(segment,),
    )
    rng = np.random.default_rng(0)
    captions = {vary(window_attributes(shard, 0, 64), rng).lower() for _ in range(500)}
    assert not captions & {prompt.text.lower() for prompt in attribute_prompts(500)}


def test_accuracy_is_the_share_that_agrees() -> None:
    requested = [Attributes(family="flute", pace="slow")] * 4
    found = [
        *requested[:2],
        Attributes(family="flute", pace="fast"),
        Attributes(family="organ", pace="fast"),
    ]
    result = accuracy("clips", found, requested, None)
    assert (result.family.mean, result.pace.mean) == (0.75, 0.5)
    with pytest.raises(DataError):
        accuracy("clips", [], [], None)


@pytest.mark.parametrize("wrong", [{"clips": 0}, {"seconds": 0.0}, {"batch": 0}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected all above 0"):
        AttributeSettings(**wrong)


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    """A corpus of solo pieces, two thirds of them for training."""
    tracks, known = [], []
    for index in range(6):
        for instrument, (_, harmonics) in SOUNDS.items():
            for pace, bpm in BEATS.items():
                path = f"audio/solo/{instrument}-{pace}-{index}.wav"
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                note_train(harmonics, bpm, index).save(tmp_path / path)
                words = {"instrument": {instrument: 1.0}, "tempo": {pace: 1.0}}
                segment = Segment(start_seconds=0.0, end_seconds=4.0, words=words)
                known.append((path, [segment]))
                split = "train" if index < 4 else "test"
                tracks.append(
                    Track(
                        path=path,
                        seconds=4.0,
                        sample_rate=RATE,
                        channels=1,
                        bandwidth_hz=10_000.0,
                        split=split,
                    )
                )
    save_manifest(tracks, tmp_path / "manifest.jsonl")
    save_attributes(tmp_path, known)
    return tmp_path


@pytest.mark.slow
def test_a_model_that_obeys_is_found_to_obey(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribute_control, "load_tagger", lambda name: FlatTagger())
    pairs = [("piano", "slow"), ("flute", "fast"), ("flute", "slow"), ("piano", "fast")]
    prompts = [
        AttributePrompt(
            text=f"{name}, {pace}",
            instrument=name,
            requested=Attributes(family=SOUNDS[name][0], pace=pace),
            held_out=False,
        )
        for name, pace in pairs
    ]
    monkeypatch.setattr(attribute_control, "attribute_prompts", lambda count, seed: prompts)
    model = MusicModel.from_pretrained("debug")

    def obey(texts: list[str], seconds: float, seeds: list[int], **_: object) -> list[Clip]:
        clips = []
        for text, seed in zip(texts, seeds, strict=True):
            name, pace = text.split(", ")
            audio = note_train(SOUNDS[name][1], BEATS[pace], 50 + seed, seconds)
            clips.append(Clip(audio=audio, grid=model.tokenizer.encode(audio)))
        return clips

    monkeypatch.setattr(model, "generate_batch", obey)
    settings = AttributeSettings(clips=4, seconds=4.0, batch=3)
    kept: list[int] = []
    report = evaluate_attributes(
        [rendered], model, settings, keep=lambda number, prompt, clip: kept.append(number)
    )
    held_out, coded, made = report.accuracies
    assert (held_out.family.count, coded.family.count, made.family.count) == (8, 8, 4)
    assert held_out.family.mean == held_out.pace.mean == 1.0
    assert made.family.mean >= 0.75
    assert made.pace.mean >= 0.75
    assert kept == [0, 1, 2, 3]
    assert report.training == (16, 32)
    files = write_attribute_report(replace(report, model="x"), tmp_path / "report")
    content = json.loads(files[0].read_text())
    assert len(content["clips"]) == 4
    assert "| generated | 4 |" in files[1].read_text()
