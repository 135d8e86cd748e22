"""Distances of mels that training minimises."""

from __future__ import annotations

import math

import pytest
import torch

from bandtok.training.distances import MultiResolutionMelLoss, loud_mel_loss


def test_a_loud_cell_weighs_by_the_root_of_its_magnitude() -> None:
    mel = torch.tensor([[[0.0], [-2.0]]])
    quiet_wrong = mel + torch.tensor([[[0.0], [1.0]]])
    loud_wrong = mel + torch.tensor([[[1.0], [0.0]]])
    weight = math.exp(-1)
    assert float(loud_mel_loss(quiet_wrong, mel)) == pytest.approx(weight / (1 + weight))
    assert float(loud_mel_loss(loud_wrong, mel)) == pytest.approx(1 / (1 + weight))


def test_a_lone_tone_that_is_lost_costs_far_more_than_in_the_plain_distance() -> None:
    mel = torch.full((1, 128, 4), -11.5)
    mel[0, 40] = -1.0
    lost = torch.full((1, 128, 4), -11.5)
    plain = float((lost - mel).abs().mean())
    assert float(loud_mel_loss(lost, mel)) > 20 * plain
    assert float(loud_mel_loss(mel, mel)) == 0.0


def test_every_frame_counts_whatever_its_level() -> None:
    mel = torch.zeros(1, 8, 2)
    mel[..., 1] = -9.0
    away = mel.clone()
    away[..., 1] += 1.0
    assert float(loud_mel_loss(away, mel)) == pytest.approx(0.5)


def test_resolutions_see_nothing_between_equal_waveforms_and_something_between_others() -> None:
    loss = MultiResolutionMelLoss(44_100)
    sound = torch.randn(1, 1, 8192, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(loss(sound, sound)) == 0.0
    assert float(loss(sound * 0.5, sound)) == pytest.approx(math.log(2), rel=0.05)
