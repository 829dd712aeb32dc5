"""Every recipe of generator, encoder, identity and directions: runs, learns, and continues exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle
from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.geometry import lean_of
from mien.synth.dataset import RenderedHeads
from mien.training.assemble import LEANING_SHARE, TRAINED_SHARES, Assembly, assemble, blended
from mien.training.engine import Run, start_fabric
from mien.training.game import RecentCodes
from mien.training.parts import load_discriminator, load_encoder, load_generator, load_weights
from mien.training.recipes import autoencoder, encoder, generator, identity

TINY = {"resolution": 32, "channel_base": 256, "channel_max": 16, "dim": 16, "batch": 4}


def curve(run, name: str) -> list[float]:
    lines = (run.config.out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)[name] for line in lines]


def test_autoencoder_learns_to_redraw(toy_heads, run_config):
    config = autoencoder.AutoencoderConfig(data=toy_heads, adversarial_from=99, **TINY)
    run = autoencoder.train(config, run_config("learns", 24))
    pixel = curve(run, "pixel")
    assert sum(pixel[-5:]) < 0.8 * sum(pixel[:5])


def test_autoencoder_continues_exactly_through_the_game(toy_heads, run_config, same_weights):
    config = autoencoder.AutoencoderConfig(data=toy_heads, adversarial_from=2, **TINY)
    whole = autoencoder.train(config, run_config("whole", 5))
    autoencoder.train(config, run_config("parts", 3))
    same_weights(whole, autoencoder.train(config, run_config("parts", 5)))
    assert load_generator(whole.config.out).config.resolution == 32


def test_the_discriminator_has_a_learning_rate_of_its_own(toy_heads, run_config):
    config = autoencoder.AutoencoderConfig(data=toy_heads, critic_lr=0.0, **TINY)
    begun, ended = (
        torch.load(autoencoder.train(config, run_config("own", steps)).checkpoint, weights_only=True)["parts"][
            "networks"
        ]
        for steps in (1, 3)
    )
    moved = {key.split(".")[0] for key in begun if not torch.equal(begun[key], ended[key])}
    assert moved == {"generator", "encoder", "directions"}


def test_autoencoder_grows_from_half_the_resolution(toy_heads, run_config):
    small = autoencoder.AutoencoderConfig(data=toy_heads, adversarial_from=99, **{**TINY, "resolution": 16})
    first = autoencoder.train(small, run_config("small", 2))
    large = autoencoder.AutoencoderConfig(data=toy_heads, adversarial_from=99, start=first.config.out, **TINY)
    nets = autoencoder.build(large)
    stored = load_weights(first.config.out, "generator")
    assert torch.equal(nets.generator.convs[2].weight, stored["convs.2.weight"])
    assert nets.generator.config.resolution == 32
    for impossible in ({"dim": 8}, {"resolution": 8}, {"channel_base": 64}):
        with pytest.raises(TrainingError, match="cannot take the sizes"):
            autoencoder.build(autoencoder.AutoencoderConfig(**{**vars(large), **impossible}))
    with pytest.raises(TrainingError, match="no finished run"):
        autoencoder.build(replace(large, start=first.config.out / "nowhere"))


def test_autoencoder_continues_wider_and_sees_more(toy_heads, run_config):
    small = autoencoder.AutoencoderConfig(data=toy_heads, adversarial_from=99, **{**TINY, "encoder_resolution": 16})
    first = autoencoder.train(small, run_config("narrow", 2))
    wide = replace(
        small, start=first.config.out, channel_base=2 * TINY["channel_base"], critic_base=TINY["channel_base"],
        channel_max=TINY["channel_max"], encoder_resolution=32,
    )  # fmt: skip
    before, after = autoencoder.build(replace(small, start=first.config.out)), autoencoder.build(wide)
    w = torch.randn(2, before.generator.num_rows, TINY["dim"])
    assert torch.allclose(
        after.generator.synthesis(w, noise="none"), before.generator.synthesis(w, noise="none"), atol=1e-4
    )
    assert after.encoder.config.resolution == 32 and before.encoder.config.resolution == 16
    assert after.discriminator.config == before.discriminator.config
    assert autoencoder.train(wide, run_config("wide", 2)).step == 2


def test_autoencoder_starts_from_a_bundle_with_a_new_discriminator(toy_heads, trained, small_bundle, run_config):
    config = autoencoder.AutoencoderConfig(data=toy_heads, start=small_bundle, **TINY)
    before = autoencoder.build(replace(config, start=trained["generator"]))
    nets = autoencoder.build(config)
    picture, q = torch.rand(2, 3, 32, 32), torch.rand(2, len(arkit_motion_space()))
    codes = [n.directions.shift(n.encoder(picture), q) for n in (nets, before)]
    torch.testing.assert_close(*codes, atol=5e-3, rtol=0)  # half precision on disk; the range of roll is taken back
    assert all(p.requires_grad for p in nets.parameters()) and nets.training
    wide = autoencoder.build(replace(config, channel_base=2 * TINY["channel_base"], critic_base=64))
    assert (wide.generator.config.channel_base, wide.discriminator.config.channel_base) == (512, 64)
    with pytest.raises(TrainingError, match="holds no discriminator"):
        load_discriminator(small_bundle)


def test_the_discriminator_warms_up_alone(toy_heads, small_bundle, run_config):
    config = autoencoder.AutoencoderConfig(data=toy_heads, start=small_bundle, warm_up=2, **TINY)
    fresh = autoencoder.build(config)
    run = autoencoder.train(config, run_config("warm", 2))
    state = torch.load(run.checkpoint, weights_only=True)["parts"]["networks"]
    moved = {
        k.split(".")[0]
        for k, v in fresh.state_dict().items()
        if not k.endswith("w_mean") and not torch.equal(v, state[k])
    }
    assert moved == {"discriminator"}
    run = autoencoder.train(config, run_config("warm", 3))
    state = torch.load(run.checkpoint, weights_only=True)["parts"]["networks"]
    assert not torch.equal(fresh.state_dict()["directions.linear.weight"], state["directions.linear.weight"])


@pytest.mark.parametrize(("judge", "seen"), [("tracker", ("angles", "expression")), ("identity", ("id", "perceptual"))])
def test_what_frozen_networks_see_becomes_equal(toy_heads, small_bundle, trained, run_config, judge, seen):
    names = ("pixel", "feature", "fool", "offsets", "prior", "angles", "expression", "id", "perceptual")
    judges = {judge: {"tracker": small_bundle, "identity": trained["identity"]}[judge]}
    config = autoencoder.AutoencoderConfig(
        data=toy_heads,
        start=small_bundle,
        adversarial_from=99,
        tilt=0.0,
        weights={name: float(name in seen) for name in names},
        **judges,
        **TINY,
    )
    run = autoencoder.train(config, run_config("reads", 30))
    for name in seen:
        values = curve(run, name)
        assert sum(values[-8:]) < 0.9 * sum(values[:8]), name


def test_generator_continues_exactly(toy_heads, run_config, same_weights):
    config = generator.GeneratorRecipe(data=toy_heads, path_every=2, r1_every=2, noise=False, **TINY)
    whole = generator.train(config, run_config("whole", 5))
    generator.train(config, run_config("parts", 2))
    same_weights(whole, generator.train(config, run_config("parts", 5)))
    assert all(value == value for value in curve(whole, "fool"))


def test_identity_net_learns_the_people(toy_heads, run_config):
    config = identity.IdentityRecipe(data=toy_heads, resolution=32, embedding=16, batch=12, margin=0.0)
    run = identity.train(config, run_config("identity", 25))
    loss = curve(run, "loss")
    assert sum(loss[-5:]) < 0.9 * sum(loss[:5])


def test_encoder_inverts_better_after_training(data_pack, toy_heads, run_config, trained):
    config = encoder.EncoderRecipe(
        **trained,
        data=toy_heads,
        start=trained["generator"],
        directions=trained["generator"],
        discriminator=trained["generator"],
        photographs=0.0,
        resolution=32,
        batch=4,
    )
    run = encoder.train(config, run_config("encoder", 20))
    pixel, sharp = curve(run, "pixel"), curve(run, "sharp")
    assert all(0 < value < 20 for value in sharp)
    assert sum(pixel[-4:]) < sum(pixel[:4])
    before, after = load_weights(trained["generator"], "generator"), load_generator(trained["generator"]).state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before), "the generator is frozen"
    assert load_encoder(run.config.out).config.num_rows == 8


def test_runs_that_are_not_there(tmp_path, toy_heads, run_config):
    missing = tmp_path / "nothing"
    with pytest.raises(TrainingError, match=r"networks\.json is missing"):
        load_generator(missing)


def test_recent_codes_keep_the_newest():
    recent = RecentCodes(4, 2)
    recent.push(torch.ones(3, 2))
    recent.push(torch.full((2, 2), 2.0))
    assert recent.codes[:, 0].tolist() == [2, 2, 1, 1]


def test_mapping_network_moves_to_the_codes_of_renders():
    recent = RecentCodes(64, 8)
    recent.push(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) * 2 + 3)
    draws = torch.Generator().manual_seed(1)
    w = torch.zeros(64, 8, requires_grad=True)
    optimiser = torch.optim.Adam([w], lr=0.1)
    before = float(recent.distance(w, draws).detach())
    for _ in range(60):
        optimiser.zero_grad()
        recent.distance(w, draws).backward()
        optimiser.step()
    assert float(recent.distance(w, draws).detach()) < 0.2 * before


def test_contrast_prefers_the_right_partner():
    unit = torch.eye(4)
    right, wrong = (identity.contrast(unit, unit.roll(shift, 0), 0.1) for shift in (0, 1))
    assert float(right.max()) < 0.01 and float(wrong.min()) > 5


def test_margin_makes_the_task_harder():
    head = identity.MarginHead(8, 5, scale=16.0, margin=0.3)
    embedding = torch.nn.functional.normalize(torch.randn(6, 8), dim=1)
    person = torch.arange(6) % 5
    assert (head(embedding, person) > head(embedding, person, ramp=0.0)).all()


def test_couples_show_one_person_twice(toy_heads, run_config):
    run = Run(run_config("couples", 1), start_fabric(run_config("couples", 1)))
    first, second = identity.draw_couples(run, np.arange(24).reshape(12, 2), 8)
    assert (first // 2 == second // 2).all() and (first != second).all()


def test_finished_runs_become_a_bundle(trained, tmp_path):
    words = [str(tmp_path / "made"), "--provenance", "toy discs"]
    words += ["--generator", str(trained["generator"]), "--tracker", str(trained["tracker"])]
    assert main(["bundle", *words]) == 0
    bundle = load_bundle(tmp_path / "made")
    stored = load_weights(trained["generator"], "directions")["linear.weight"]
    stored[:, 2] *= 2
    torch.testing.assert_close(bundle.directions.linear.weight, stored, atol=1e-3, rtol=1e-3)
    assert bundle.motion.ranges[2].tolist() == [-40, 40], "roll runs twice as far, with its column of A"
    assert bundle.crop == "head" and bundle.card["provenance"] == "toy discs"
    assert main(["bundle", *words[:-1], str(tmp_path / "nothing")]) == 2


def test_an_encoder_between_two_runs(trained, toy_heads, run_config):
    config = encoder.EncoderRecipe(
        **trained, data=toy_heads, start=trained["generator"], directions=trained["generator"], photographs=0.0, batch=4
    )
    after = encoder.train(config, run_config("encoder", 3)).config.out
    plan = {"generator": trained["generator"], "tracker": trained["tracker"], "encoder": after}
    name = "base.weight"
    ends = [load_encoder(folder).state_dict()[name] for folder in (trained["generator"], after)]
    middle = blended(Assembly(**plan, encoder_share=0.25)).state_dict()[name]
    torch.testing.assert_close(middle, 0.75 * ends[0] + 0.25 * ends[1])
    assert torch.equal(blended(Assembly(**plan)).state_dict()[name], ends[1]) and not torch.equal(ends[0], ends[1])
    assert torch.equal(blended(Assembly(**{**plan, "encoder": None})).state_dict()[name], ends[0])


def test_results_go_as_far_as_training_pictures_went(toy_heads, trained, tmp_path):
    plan = {name: trained[name] for name in ("generator", "tracker")}
    motion = load_bundle(assemble(Assembly(**plan, provenance="toy", pictures=toy_heads), tmp_path / "bundle")).motion
    heads = RenderedHeads(toy_heads)
    values = motion.read(heads.params(np.arange(len(heads)))).numpy()
    jaw, smile, yaw, gaze = (motion.index(name) for name in ("jaw_open", "mouth_smile", "yaw", "gaze_x"))
    for column in (jaw, smile, gaze):
        expected = np.quantile(values[:, column], TRAINED_SHARES)
        assert motion.trained[column].numpy() == pytest.approx(expected, abs=1e-5)
        assert expected[1] < float(motion.ranges[column, 1])
    assert motion.trained[yaw].tolist() == [-45, 45]
    leans = torch.rad2deg(lean_of(heads.params(np.arange(len(heads))).angles).abs()).numpy()
    assert motion.lean_deg == pytest.approx(np.quantile(leans, LEANING_SHARE), abs=0.051)
    assert motion.lean_deg < leans.max()
