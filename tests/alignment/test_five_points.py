"""Alignment by five points: the authors' numbers, and what must hold for every face."""

import pytest
import torch
from golden_rule import relative_error

from mien.alignment.five_points import align_faces, fit_similarity, five_points, sampling_matrix

FORMULA_LIMIT = 1e-5


@pytest.mark.parity
def test_five_point_matrices_are_the_published_ones(golden):
    numbers = golden("losses")
    landmarks = torch.from_numpy(numbers["in_align_landmarks"])
    assert relative_error(sampling_matrix(landmarks, (256, 256)), numbers["out_align_affine_256"]) <= FORMULA_LIMIT
    wide = sampling_matrix(landmarks[:1], (480, 640))
    assert relative_error(wide, numbers["out_align_affine_h480_w640"]) <= FORMULA_LIMIT


def test_a_similarity_is_found_again(rng):
    source = torch.from_numpy(rng.standard_normal((3, 5, 2)))
    linear = torch.tensor([[1.2, -0.7], [0.7, 1.2]], dtype=torch.float64)
    target = source @ linear.T + torch.tensor([4.0, -2.0], dtype=torch.float64)
    expected = torch.cat([linear, torch.tensor([[4.0], [-2.0]], dtype=torch.float64)], 1).expand(3, 2, 3)
    torch.testing.assert_close(fit_similarity(source, target), expected)


def test_alignment_follows_the_face(rng):
    """Moving picture and landmarks together leaves the aligned face alone."""
    picture = torch.from_numpy(rng.random((1, 3, 96, 96)))
    landmarks = torch.from_numpy(rng.random((1, 68, 2))) * 30 + 30
    moved = torch.roll(picture, (5, -7), (2, 3)), landmarks + torch.tensor([-7.0, 5.0], dtype=torch.float64)
    torch.testing.assert_close(align_faces(*moved), align_faces(picture, landmarks))
    assert five_points(landmarks).shape == (1, 5, 2)
