"""What is drawn agrees with the parameters it is drawn from."""

import cv2
import numpy as np
import pytest

from mien.alignment.crop import head_crop
from mien.synth.motion import random_angles, random_expression

EYE, MOUTH, SKIN, HAIR, BROW = 3, 4, 1, 2, 5
BOTH_LIDS = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}


@pytest.fixture(scope="module")
def motions():
    rng = np.random.default_rng(3)
    return np.stack([random_angles(rng) for _ in range(5)]), np.stack([random_expression(rng) for _ in range(5)])


def test_a_frame_is_the_same_alone_and_in_a_batch(renderer, scene, motions):
    angles, expressions = motions
    batch = renderer.render(scene, angles, expressions)
    alone = renderer.render(scene, angles[3:4], expressions[3:4])[0]
    assert np.array_equal(batch[3].image, alone.image)
    assert np.array_equal(batch[3].regions, alone.regions)
    assert np.array_equal(batch[3].landmarks, alone.landmarks)
    assert not np.array_equal(batch[2].image, alone.image)


def test_frames_are_framed_by_the_head_crop(renderer, scene, motions):
    for frame in renderer.render(scene, *motions):
        crop = head_crop(frame.landmarks.astype(np.float64), frame.angles, renderer.size)
        assert np.allclose(crop.matrix, [[1, 0, 0], [0, 1, 0]], atol=2e-3)


def test_jitter_moves_picture_and_landmarks_alike(renderer, scene):
    expression, angles = np.zeros((1, 51)), np.zeros((1, 3))
    still = renderer.render(scene, angles, expression)[0]
    moved = renderer.render(scene, angles, expression, np.array([[4 / 128, -2 / 128, 0.0]]))[0]
    assert np.allclose(moved.landmarks - still.landmarks, [4, -2], atol=1e-3)
    assert np.mean(moved.regions[20:90, 24:110] == still.regions[22:92, 20:106]) > 0.97


def test_eye_landmarks_surround_the_eyeball(draw):
    frame = draw()
    for start in (36, 42):
        points = frame.landmarks[start : start + 6]
        outline = np.zeros(frame.regions.shape, np.uint8)
        cv2.fillPoly(outline, [np.rint(points).astype(np.int32)], 1)
        assert np.mean(frame.regions[outline == 1] == EYE) > 0.5
    low, high = frame.landmarks[36:48].min(0) - 2, frame.landmarks[36:48].max(0) + 2
    rows, columns = np.nonzero(frame.regions == EYE)
    assert (
        (columns >= low[0]).all() and (columns <= high[0]).all() and (rows >= low[1]).all() and (rows <= high[1]).all()
    )


def test_nose_and_mouth_landmarks_lie_on_their_regions(draw):
    frame = draw()
    x, y = np.rint(frame.landmarks[30]).astype(int)
    assert frame.regions[y, x] == SKIN
    for point in frame.landmarks[[51, 57, 62]]:
        x, y = np.rint(point).astype(int)
        assert (frame.regions[y - 1 : y + 2, x - 1 : x + 2] == MOUTH).any()


def test_every_region_is_there(draw):
    assert set(np.unique(draw().regions)) == {0, SKIN, HAIR, EYE, MOUTH, BROW, 6}


def test_positive_yaw_turns_the_nose_to_the_right(draw):
    for yaw in (-25, 25):
        points = draw(yaw=yaw).landmarks
        assert np.sign(points[30, 0] - points[36:48, 0].mean()) == np.sign(yaw)


def test_positive_pitch_raises_the_nose(draw):
    def nose(frame):
        return frame.landmarks[36:48, 1].mean() - frame.landmarks[30, 1]

    assert nose(draw(pitch=15)) > nose(draw()) > nose(draw(pitch=-15))


def test_positive_roll_lowers_the_right_eye(draw):
    def slope(frame):
        return frame.landmarks[45, 1] - frame.landmarks[36, 1]

    assert slope(draw(roll=12)) > 4 and slope(draw(roll=-12)) < -4


def test_blink_closes_the_lids(draw):
    area = [np.count_nonzero(draw(eyeBlinkLeft=v, eyeBlinkRight=v).regions == EYE) for v in (0.0, 0.5, 1.0)]
    assert area[0] > area[1] > area[2]
    assert area[2] < 0.12 * area[0]


def test_left_is_the_subjects_left(draw):
    columns = np.nonzero(draw(eyeBlinkLeft=1.0).regions == EYE)[1]
    assert np.mean(columns < 64) > 0.9  # the open right eye is on the image's left


def _iris_offset(frame):
    """Mean place of the dark part of both eyeballs, relative to the eye corners."""
    rows, columns = np.nonzero(frame.regions == EYE)
    darkness = np.clip(150.0 - frame.image[rows, columns].mean(-1), 0, None) ** 2
    middle = np.array([(columns * darkness).sum(), (rows * darkness).sum()]) / darkness.sum()
    return middle - frame.landmarks[36:48].mean(0)


def test_gaze_turns_the_iris(draw):
    right = _iris_offset(draw(eyeLookOutLeft=0.8, eyeLookInRight=0.8))
    left = _iris_offset(draw(eyeLookInLeft=0.8, eyeLookOutRight=0.8))
    assert right[0] > left[0] + 1.0


def test_jaw_opens_the_mouth(draw):
    area = [np.count_nonzero(draw(jawOpen=v).regions == MOUTH) for v in (0.0, 0.4, 0.9)]
    assert area[0] < area[1] < area[2]


def test_far_contour_is_hidden_in_profile(draw):
    assert draw().visibility[27:60].mean() > 0.9
    turned = draw(yaw=45)  # the subject's left half is away from the camera
    assert turned.visibility[:8].sum() > turned.visibility[9:17].sum()


def test_people_differ(renderer):
    from mien.synth.people import random_person

    first, second, again = random_person(1), random_person(2), random_person(1)
    assert np.array_equal(first.identity, again.identity)
    assert first.appearance.paint_seed == again.appearance.paint_seed
    assert not np.array_equal(first.identity, second.identity)
    assert np.abs(first.identity).max() <= 1.6
