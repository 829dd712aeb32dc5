"""The quality drivers: their arithmetic, and one run of each from end to end on a bundle of random numbers."""

import json
from dataclasses import replace
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import driving
import edits
import generator
import instruments
import leaning as leaning_heads
import numpy as np
import pairs
import pytest
import torch

from mien.checkpoints import Bundle, TrackerNetworks, save_bundle
from mien.errors import InputError
from mien.face3d.motion import arkit_motion_space
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.geometry import lean_of, turned_angles
from mien.images import read_image
from mien.inversion.encoder import Encoder, EncoderConfig
from mien.media.reader import Frame
from mien.methods.direction import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator, GeneratorConfig
from mien.synth.sequence import random_motion
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.regressor import FaceRegressor, RegressorConfig


def _faces(count: int, yaw_deg: torch.Tensor, jaw: torch.Tensor) -> FaceParams:
    expression = torch.zeros(count, 51)
    expression[:, ARKIT_NAMES.index("jawOpen")] = jaw
    angles = torch.zeros(count, 3)
    angles[:, 0] = torch.deg2rad(yaw_deg)
    valid = torch.ones(count, dtype=torch.bool)
    return FaceParams(angles, expression, torch.zeros(count, 68, 2), valid, torch.ones(count))


def test_correlation_says_what_the_driver_moves():
    t = torch.linspace(-1, 1, 12)
    driver, result = _faces(12, 10 * t, 0.01 * (t + 1)), _faces(12, -5 * t, 0.3 * (t + 1))
    coordinates = driving.compare(driver, result)["coordinates"]
    assert coordinates["yaw"]["correlation"] == pytest.approx(-1)
    assert coordinates["yaw"]["is_driven"] and not coordinates["jaw_open"]["is_driven"]
    assert coordinates["roll"]["correlation"] is None


def test_turning_and_nodding_are_those_of_the_upright_head():
    t = torch.linspace(-1, 1, 12)
    head = _faces(12, 10 * t, t)
    head.angles[:, 1] = torch.deg2rad(12 * t.square())
    leaning = replace(head, angles=turned_angles(head.angles, torch.deg2rad(40 + 5 * t)))
    values = instruments.named_coordinates(leaning)
    straight = turned_angles(head.angles, -lean_of(head.angles))
    torch.testing.assert_close(torch.stack([values["turn"], values["nod"]], 1), torch.rad2deg(straight[:, :2]))
    assert (values["turn"] - 10 * t).abs().max() < 0.25 and (values["yaw"] - 10 * t).abs().max() > 4
    coordinates = driving.compare(head, leaning)["coordinates"]
    assert coordinates["turn"]["correlation"] > 0.999 > 0.99 > coordinates["yaw"]["correlation"]
    still = driving.compare(_faces(12, 0.3 * t, t), leaning)["coordinates"]
    assert coordinates["turn"]["is_driven"] and not still["turn"]["is_driven"]


def test_a_few_frames_prove_nothing():
    t = torch.linspace(-1, 1, 7)
    run = driving.compare(_faces(7, 10 * t, t), _faces(7, 10 * t, t))
    assert all(value["correlation"] is None for value in run["coordinates"].values())
    assert run["coordinates"]["yaw"]["is_driven"], "whether a driver moves is a matter of the driver alone"


def test_jitter_is_judged_where_the_truth_drives():
    t = torch.linspace(-1, 1, 12)
    tremble = torch.tensor([0.0, 1.0] * 6)
    truth, judged, result = _faces(12, 10 * t, t), _faces(12, 10 * t + tremble, t), _faces(12, 10 * t + 2 * tremble, t)
    run = driving.compare(truth, result, judged)
    assert run["jitter_deg"]["yaw"] == pytest.approx({"driver": 2.0, "result": 4.0}, rel=1e-3)
    assert run["coordinates"]["yaw"]["driver_std"] == pytest.approx(float((10 * t).std(correction=0)), rel=1e-4)
    assert driving.compare(truth, result)["jitter_deg"]["yaw"]["driver"] == pytest.approx(0, abs=1e-4)


class FakeStudio:
    """Grey pictures, or one that is given, with the parameters that were asked for."""

    reach = 0.5

    def __init__(self, pack, size, picture=None):
        self.size, self.picture = size, picture

    def render(self, person, angles, expression):
        grey = np.full((self.size, self.size, 3), 100 + person, np.uint8)
        points = np.full((68, 2), 60.0)
        shown = grey if self.picture is None else self.picture
        return [
            SimpleNamespace(image=shown, angles=a, expression=e, landmarks=points)
            for a, e in zip(angles, expression, strict=True)
        ]

    def close(self):
        pass


def test_rendered_people_drive_with_what_is_true(monkeypatch, tmp_path):
    monkeypatch.setattr(driving, "PhotographedPeople", FakeStudio)
    given = list(driving.drivers(driving.Settings(people=tmp_path / "people.npz", frames=9), tmp_path))
    assert len(given) == driving.RENDERED_CLIPS and len({clip for clip, *_ in given}) == driving.RENDERED_CLIPS
    for number, (_, face, frames, truth) in enumerate(given):
        motion = random_motion(9, driving.RENDERED_RATE, number)
        assert face == "largest" and [frame.pts for frame in frames] == list(range(9))
        assert frames[0].image[0, 0, 0] == 100 + number
        assert truth is not None and truth.valid.all()
        np.testing.assert_allclose(truth.angles.numpy(), 0.5 * motion.angles, atol=1e-6)
        np.testing.assert_allclose(truth.expression.numpy(), motion.expression, atol=1e-6)


def test_own_crops_frame_the_driver_as_results_are_framed(monkeypatch):
    """Where the face is lost the picture is blank; where it is found it is the bundle's crop."""
    picture = np.zeros((90, 120, 3), np.uint8)
    seen = [_faces(1, torch.zeros(1), 0.0), replace(_faces(1, torch.zeros(1), 0.0), valid=torch.zeros(1) > 0)]
    monkeypatch.setattr(driving, "follow", lambda tracker, images, choose: iter(seen))
    crop = SimpleNamespace(apply=lambda image: np.full((32, 32, 3), 7, np.uint8))
    model = SimpleNamespace(tracker=None, frame=lambda params: [crop] * len(params))
    frames = [Frame(picture, i, Fraction(1, 25)) for i in range(2)]
    kept, lost = driving.own_crops(model, frames, "largest")
    assert (kept == 7).all() and kept.shape == (32, 32, 3) and (lost == 127).all()


def test_pairs_are_half_of_one_scene_half_of_two_people(rng):
    heads = SimpleNamespace(person=np.repeat(np.arange(6), 4), scene=np.repeat(np.arange(6), 4))
    drawn = pairs.draw_pairs(heads, 20, rng)
    assert len(drawn["same"]) == len(drawn["other"]) == 10
    assert all(heads.scene[a] == heads.scene[b] and a != b for a, b in drawn["same"])
    assert all(heads.person[a] != heads.person[b] for a, b in drawn["other"])
    with pytest.raises(InputError):
        pairs.draw_pairs(SimpleNamespace(person=np.zeros(4), scene=np.arange(4)), 2, rng)


def test_motion_errors_of_a_known_displacement():
    space = arkit_motion_space()
    result = _faces(2, torch.tensor([10.0, 20.0]), torch.tensor([0.5, 0.5]))
    truth = _faces(2, torch.tensor([13.0, 25.0]), torch.tensor([0.25, 0.75]))
    errors = pairs.motion_errors(result, truth, space, ("jaw_open", "gaze_x"))
    assert errors["angles_deg"]["yaw"] == pytest.approx(4, rel=1e-4)
    assert errors["by_coordinate"] == pytest.approx({"jaw_open": 0.25, "gaze_x": 0})
    assert errors["expression"] == pytest.approx(0.125)


def test_mediapipe_is_only_asked_what_it_can_read():
    readable = pairs.mediapipe_coordinates(arkit_motion_space())
    assert "jaw_open" in readable and "cheek_puff" not in readable


def test_halves_share_no_person(rng):
    person = np.repeat(np.arange(10), 5)
    first, second = generator.split_people(person, 20, rng)
    assert len(first) == len(second) == 20
    assert not set(person[first]) & set(person[second])
    with pytest.raises(InputError):
        generator.split_people(person, 30, rng)


def _random_bundle() -> Bundle:
    config = EncoderConfig(resolution=32, channel_base=128, channel_max=8, hidden=8, num_rows=8, style_dim=8)
    regressor = RegressorConfig(crop_px=16, widths=(4, 4, 4, 4), squeeze=2, hidden=4)
    return Bundle(
        name="tiny",
        generator=Generator(GeneratorConfig(resolution=32, latent_dim=8, style_dim=8, channel_base=128, channel_max=8)),
        encoder=Encoder(config),
        directions=DirectionMatrix(DirectionConfig(rows=4, dim=8)),
        motion=arkit_motion_space(),
        truncation=0.7,
        crop="head",
        tracker=TrackerNetworks(FaceDetector(DetectorConfig()), FaceRegressor(regressor)),
        card={"licence": "none", "provenance": "random numbers", "quality": {}},
    )


@pytest.mark.slow
@pytest.mark.usefixtures("can_render")
def test_each_driver_runs_on_a_random_bundle(tmp_path, data_pack, monkeypatch):
    from mien.synth.dataset import DatasetConfig, write_dataset

    monkeypatch.setattr(instruments, "RESULTS", tmp_path / "results")
    bundle = str(save_bundle(_random_bundle(), tmp_path / "tiny"))
    config = DatasetConfig(num_scenes=4, frames_per_scene=3, size=64, split="heldout", supersample=1, processes=1)
    renders = write_dataset(config, tmp_path / "renders")
    given = {"bundle": bundle, "data": data_pack, "device": "cpu"}
    source = data_pack / "faces" / "portraits_cc0" / "female_001.jpg"
    driving.main(driving.Settings(sources=(source,), frames=10, tracker="mediapipe", **given))
    pairs.main(pairs.Settings(renders=renders, pairs=4, tracker="mediapipe", **given))
    generator.main(generator.Settings(renders=renders, count=4, batch=3, psi=(0.7,), **given))
    leaning_heads.main(leaning_heads.Settings(bundle=bundle, data=data_pack, count=1, limits=(), tracker="mediapipe"))
    edits.main(edits.Settings(bundle=bundle, data=data_pack, count=1, tracker="mediapipe"))
    runs = json.loads((tmp_path / "results" / "driving.json").read_text())["runs"]
    assert [run["face"] for run in runs if run["source"] == driving.ITSELF] == ["largest", "left", "right"]
    monkeypatch.setattr(driving, "PhotographedPeople", partial(FakeStudio, picture=read_image(source)))
    rendered = {"people": tmp_path / "people.npz", "frames": 10, "name": "driving_rendered"}
    driving.main(driving.Settings(sources=(source,), tracker="mediapipe", driving=("absolute",), **rendered, **given))
    runs = json.loads((tmp_path / "results" / "driving_rendered.json").read_text())["runs"]
    truth = np.degrees(0.5 * random_motion(10, driving.RENDERED_RATE, 0).angles[:, 0]).std()
    assert all(run["coordinates"]["yaw"]["driver_std"] == pytest.approx(truth, rel=1e-3) for run in runs[:2])
    assert runs[0]["jitter_deg"]["yaw"]["driver"] == pytest.approx(0, abs=0.2), "one still picture, judged"
    for name in ("driving", "driving_rendered", "pairs", "generator", "leaning", "leaning_sources", "edits"):
        results = json.loads((tmp_path / "results" / f"{name}.json").read_text())
        assert str(tmp_path) not in json.dumps(results), "folders of one machine stay out of the results"
        assert (tmp_path / "results" / f"{name}.md").read_text().count("|") > 10


def test_heads_lean_by_turning_the_picture():
    """Targets lean by what was asked, to both sides; the error between two heads is the angle of the rotation."""
    straight, leaning = leaning_heads.targets(0.0), leaning_heads.targets(30.0)
    assert len(straight) == 2 * len(leaning_heads.POSES_DEG)
    errors = leaning_heads.rotation_errors_deg(straight, leaning)
    torch.testing.assert_close(errors, torch.full((len(straight),), 30.0), rtol=0, atol=1e-2)
    turned = torch.rad2deg(lean_of(leaning) - lean_of(straight))
    assert turned.tolist() == pytest.approx([30, -30] * len(leaning_heads.POSES_DEG), abs=1e-3)


def test_photographs_turn_clockwise_about_their_middle():
    picture = np.zeros((41, 61, 3), np.uint8)
    picture[5, 30] = 255
    turned = leaning_heads.turned_photograph(picture, 90.0)
    y, x = np.unravel_index(turned[..., 0].argmax(), (41, 61))
    assert (y, x) == (20, 45), "what was above the middle is to its right"
    assert np.array_equal(leaning_heads.turned_photograph(picture, 0.0), picture)


def test_leaning_sources_are_asked_to_move_and_to_stay():
    motion = arkit_motion_space()
    model = SimpleNamespace(bundle=SimpleNamespace(motion=motion))
    upright, leaning = (
        SimpleNamespace(coordinates=motion.encode(one))
        for one in (_faces(1, torch.zeros(1), 0.0), _faces(1, torch.tensor([8.0]), 0.2))
    )
    asked = motion.denormalise(leaning.coordinates + leaning_heads.moves_of(model, upright, leaning))
    assert len(asked) == len(leaning_heads.MOVES)
    assert asked[:, motion.index("yaw")].tolist() == pytest.approx([0, 15, 8, 8, 23], abs=1e-4)
    assert asked[:, motion.index("mouth_smile")].tolist() == pytest.approx([0, 0, 0, 0.4, 0], abs=1e-4)


def test_a_row_of_leaning_heads_counts_only_those_with_a_face():
    judged = torch.tensor([[1.0, 2.0, 0.5], [0.0, 90.0, 0.0], [1.0, 4.0, 0.7]])
    row = leaning_heads.row_of(12.0, 30.0, judged)
    assert row["found"] == pytest.approx(2 / 3, abs=1e-4) and row["error"] == 3 and row["cosine"] == pytest.approx(0.6)


def test_a_row_of_edits_counts_only_pictures_with_a_face():
    judged = torch.tensor([[1.0, 0.1, 0.5, 0.9], [0.0, 0.9, 0.9, 0.0], [1.0, 0.3, 0.7, 0.7]])
    row = edits.row_of("avatar", "one-shot", "smile .9", judged)
    assert (row["bundle"], row["method"], row["edit"]) == ("avatar", "one-shot", "smile .9")
    numbers = [row[name] for name in ("found", "before", "after", "cosine")]
    assert numbers == pytest.approx([2 / 3, 0.2, 0.6, 0.8], abs=1e-4)
    assert edits.table_of([row]).row_count == 1
