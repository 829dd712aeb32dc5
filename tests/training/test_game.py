"""The game of redrawn pictures against the true ones, pair by pair."""

import pytest
import torch

from mien.losses.adversarial import prefer, r1_penalty
from mien.stylegan2 import Discriminator, DiscriminatorConfig
from mien.training.engine import seeded
from mien.training.game import judge_loss
from mien.training.judges import sharpness_loss


@pytest.fixture
def critic() -> Discriminator:
    sizes = {"resolution": 16, "channel_base": 64, "channel_max": 8}
    return seeded(0, lambda: Discriminator(DiscriminatorConfig(**sizes)))


def test_a_paired_game_finds_what_differs_whatever_the_pictures_show(critic):
    """Contents differ ten times more than true and made pictures of one content do."""
    draws = torch.Generator().manual_seed(1)
    grain = torch.randn(1, 3, 16, 16, generator=draws) * 0.1
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2, betas=(0.0, 0.99))
    for _ in range(150):
        content = torch.randn(8, 3, 1, 1, generator=draws).expand(-1, -1, 16, 16)
        loss = judge_loss(critic, content + grain, content, None)["judge"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    content = torch.randn(8, 3, 1, 1, generator=draws).expand(-1, -1, 16, 16)
    with torch.no_grad():
        assert float(judge_loss(critic, content + grain, content, None)["judge"]) < 0.35
        assert float(judge_loss(critic, content, content + grain, None)["judge"]) > 1.0


def test_both_penalties_are_taken_on_every_second_pair(critic):
    real, fake = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16)
    samples = torch.rand(2, 3, 16, 16)
    losses = judge_loss(critic, real, fake, 3.0, samples)
    for name, pictures in (("r1", real), ("r2", fake)):
        torch.testing.assert_close(losses[name], 1.5 * r1_penalty(critic, pictures[[0, 2]]).mean())
    assert set(judge_loss(critic, real, fake, None)) == {"judge"}
    expected = prefer(critic(real)[:2], critic(samples)).mean()
    torch.testing.assert_close(losses["judge_samples"], expected)


def test_sharpness_is_judged_against_the_true_picture_and_teaches_the_made_one(critic):
    made, true = torch.rand(2, 3, 16, 16, requires_grad=True), torch.rand(2, 3, 16, 16, requires_grad=True)
    critic.logit.bias.data.fill_(50.0)  # logits have no zero of their own
    loss = sharpness_loss(critic.requires_grad_(False), made, true)
    loss.backward()
    assert 0.1 < loss.item() < 5 and made.grad.abs().sum() > 0 and true.grad is None
    assert sharpness_loss(critic, true, true).item() == pytest.approx(0.6931, abs=1e-3)
