"""Photographed heads: put together as they were taken apart, and true to their parameters in every other pose."""

from dataclasses import replace

import numpy as np
import pytest

from mien.alignment.crop import head_crop
from mien.errors import InputError
from mien.face3d.params import ARKIT_NAMES
from mien.synth.contact import render_contact_sheet
from mien.synth.dataset import DatasetConfig, RenderedHeads, is_photographed, write_dataset
from mien.synth.deformation import rotation_matrix
from mien.synth.fitting import Lens
from mien.synth.motion import random_angles, random_expression
from mien.synth.people_pack import PeoplePack, write_people
from mien.synth.photo_geometry import ring_values
from mien.synth.photo_renderer import mirrored
from mien.synth.photo_scene import mixed_texture, plain_scene, random_photo_scene
from mien.synth.photograph import check_matte, iris_colour
from mien.synth.sequence import random_motion, render_motion

EYE, MOUTH, SKIN, HAIR = 3, 4, 1, 2


@pytest.fixture(scope="module")
def pack(photo_head, tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "people.npz"
    dark = replace(photo_head, name="somebody_2", albedo=photo_head.albedo // 2)
    write_people([photo_head, dark, replace(photo_head, name="else_1")], [False, False, True], path)
    with PeoplePack(path) as opened:
        yield opened


def test_a_photograph_is_redrawn_as_it_was(portrait, photo_head, photo_renderer):
    image, _, _, _, _ = portrait
    frame = photo_renderer.render(plain_scene(photo_head, 128), photo_head.angles[None], np.zeros((1, 51)))[0]
    # The same square of the photograph, by the landmarks that the frame claims.
    fit_points = frame.landmarks[[36, 45, 30, 48, 54]]
    lens_points = _photo_landmarks(photo_head, photo_renderer)[[36, 45, 30, 48, 54]]
    system = np.column_stack([fit_points, np.ones(5)])
    affine = np.linalg.lstsq(system, lens_points, rcond=None)[0]
    rows, columns = np.mgrid[30:100, 40:90]
    at = np.column_stack([columns.ravel(), rows.ravel(), np.ones(rows.size)]) @ affine
    at = np.rint(at).astype(int).clip(0, 511)
    original = image[at[:, 1], at[:, 0]].astype(float)
    redrawn = frame.image[rows.ravel(), columns.ravel()].astype(float)
    eyes = np.isin(frame.regions[rows.ravel(), columns.ravel()], (EYE, MOUTH))
    assert np.abs(original - redrawn)[~eyes].mean() < 12
    assert np.corrcoef(original[~eyes].mean(1), redrawn[~eyes].mean(1))[0, 1] > 0.9


def _photo_landmarks(head, renderer):
    shape = renderer._deformer.identify(head.identity)[renderer.head.landmarks]
    return Lens(head.lens[0], head.lens[1:]).project(shape @ rotation_matrix(head.angles).T + head.translation)


def test_frames_are_framed_by_the_head_crop_of_their_own_landmarks(photo_head, photo_renderer, rng):
    angles = np.stack([0.75 * random_angles(rng) for _ in range(4)])
    expressions = np.stack([random_expression(rng) for _ in range(4)])
    for frame in photo_renderer.render(plain_scene(photo_head, 128), angles, expressions):
        crop = head_crop(frame.landmarks.astype(np.float64), frame.angles, 128)
        assert np.allclose(crop.matrix, [[1, 0, 0], [0, 1, 0]], atol=2e-3)


def test_lids_close_and_mouths_open(photo_head, photo_renderer):
    expressions = np.zeros((3, 51))
    expressions[1, [ARKIT_NAMES.index("eyeBlinkLeft"), ARKIT_NAMES.index("eyeBlinkRight")]] = 1.0
    expressions[2, ARKIT_NAMES.index("jawOpen")] = 0.9
    still, shut, wide = photo_renderer.render(plain_scene(photo_head, 128), np.zeros((3, 3)), expressions)
    assert (shut.regions == EYE).sum() < 0.35 * (still.regions == EYE).sum()
    inside = (wide.regions == MOUTH).sum() - (still.regions == MOUTH).sum()
    assert inside > 60
    chin = slice(6, 11)
    assert (wide.landmarks[chin, 1] - still.landmarks[chin, 1]).mean() > 4


def test_a_mirrored_scene_is_the_mirror_of_the_scene(photo_head, photo_renderer, rng):
    angles, expression = 0.75 * random_angles(rng)[None], random_expression(rng)[None]
    scene = replace(plain_scene(photo_head, 128), is_mirrored=True)
    frame = photo_renderer.render(scene, angles, expression)[0]
    assert np.allclose(frame.angles, angles[0], atol=1e-6)
    assert np.allclose(frame.expression, expression[0], atol=1e-6)
    crop = head_crop(frame.landmarks.astype(np.float64), frame.angles, 128)
    assert np.allclose(crop.matrix, [[1, 0, 0], [0, 1, 0]], atol=2e-3)
    twice = mirrored(mirrored(frame))
    assert np.array_equal(twice.image, frame.image) and np.allclose(twice.landmarks, frame.landmarks)
    assert np.allclose(mirrored(frame).angles, angles[0] * [-1, 1, -1], atol=1e-6)


def test_the_backdrop_shows_beside_the_head(photo_head, photo_renderer):
    scene = replace(plain_scene(photo_head, 128), backdrop=np.full((192, 192, 3), (0, 255, 0), np.uint8))
    frame = photo_renderer.render(scene, np.zeros((1, 3)), np.zeros((1, 51)))[0]
    outside = frame.regions == 0
    assert outside.sum() > 1500
    green = frame.image[outside].astype(int)
    assert (green[:, 1] - green[:, 0] > 150).mean() > 0.8
    assert frame.regions[64, 64] in (SKIN, HAIR, MOUTH, 5)


def test_people_survive_the_pack(pack, photo_head):
    assert len(pack) == 3 and pack.numbers(held_out=False) == [0, 1] and pack.numbers(held_out=True) == [2]
    again = pack.person(0)
    for name, value in photo_head.arrays():
        kept = getattr(again, name)
        assert kept.shape == value.shape and kept.dtype == value.dtype
        limit = 6.0 if value.dtype == np.uint8 else 0.05
        assert np.abs(kept.astype(float) - value).mean() < limit
    assert np.array_equal(again.matte, photo_head.matte)


def test_a_pack_says_when_it_is_none(tmp_path, pack, photo_head):
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"not a pack")
    with pytest.raises(InputError, match="not a pack"):
        PeoplePack(bad)
    whole = pack.path.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        PeoplePack(bad)
    other = tmp_path / "other.npz"
    write_people([replace(photo_head, iris=photo_head.iris * 0.5)], [False], other)
    with PeoplePack(other) as opened:
        assert opened.signature() != pack.signature()


def test_a_seed_is_a_scene(pack):
    one, same, other = (random_photo_scene(pack, [0, 1], seed, 128) for seed in (5, 5, 6))
    assert np.array_equal(one.identity, same.identity) and np.array_equal(one.backdrop, same.backdrop)
    assert not np.array_equal(one.identity, other.identity)


def test_textures_mix_from_one_to_the_other(pack):
    first, second = pack.person(0), pack.person(1)
    none, _ = mixed_texture(first, second, 0.0)
    whole, confidence = mixed_texture(first, second, 1.0)
    assert np.array_equal(none, first.albedo)
    assert np.array_equal(confidence, second.confidence)
    # The second is half as bright; it takes on the first one's brightness.
    seen = first.confidence > 200
    assert np.abs(whole[seen].mean(0) - first.albedo[seen].mean(0)).max() < 6


def test_ring_values_follow_the_direction():
    ring = np.zeros((72, 1))
    ring[18] = 1.0  # straight up
    points = np.array([[0.0, 9.0, 0.0], [5.0, 4.0, 0.0], [0.0, 20.0, -3.0]])
    assert np.allclose(ring_values(points, ring)[:, 0], [1, 0, 1], atol=1e-6)


def test_dark_and_light_eyes_are_told_apart(portrait):
    image, points, _, _, _ = portrait
    blue = image.copy()
    rows, columns = np.mgrid[:512, :512]
    for middle in (468, 473):
        blue[np.hypot(columns - points[middle, 0], rows - points[middle, 1]) < 8] = (60, 90, 160)
    colour = iris_colour(blue, points)
    assert colour[2] > colour[0] + 0.1


def test_a_head_cut_by_the_photograph_is_refused(photo_head, portrait):
    _, points, _, _, _ = portrait
    check_matte("whole", photo_head.matte, points)
    cut = photo_head.matte.copy()
    cut[:2] = 255
    with pytest.raises(InputError, match="ends at the hair"):
        check_matte("cut", cut, points)


def test_sheets_and_datasets_show_photographed_people(pack, tmp_path):
    sheet = render_contact_sheet(2, size=64, people=pack.path)
    assert sheet.shape == (64, 128, 3)
    assert not np.array_equal(sheet, render_contact_sheet(2, size=64))
    config = DatasetConfig(
        num_scenes=4, frames_per_scene=2, size=32, processes=1, people=str(pack.path), photo_share=0.5, seed=2
    )
    heads = RenderedHeads(write_dataset(config, tmp_path / "heads"))
    assert len(heads) == 8 and heads.config["people"] == pack.signature()
    kinds = [is_photographed(config, i) for i in range(4)]
    assert any(kinds) and not all(kinds)
    photo = kinds.index(True)
    yaw = heads.params(np.arange(2 * photo, 2 * photo + 2)).angles[:, 0].numpy()
    assert np.abs(np.degrees(yaw)).max() <= 45 * 0.75
    with pytest.raises(InputError, match="nobody of the split"):
        only = tmp_path / "only.npz"
        write_people([pack.person(0)], [False], only)
        write_dataset(replace(config, people=str(only), split="heldout"), tmp_path / "none")


def test_photographed_people_move_smoothly_in_clips(photo_head):
    motion = random_motion(4, 25.0, 3)
    frames = list(render_motion(plain_scene(photo_head, 64), motion, 64, 1))
    assert len(frames) == 4
    assert np.allclose([f.angles for f in frames], motion.angles, atol=1e-6)
    steps = [np.abs(a.image.astype(int) - b.image).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert 0 < max(steps) < 25
