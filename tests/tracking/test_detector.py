"""The detector's targets and their decoding are inverses; shapes fit."""

import numpy as np
import torch

from mien.tracking.detector import Detections, DetectorConfig, FaceDetector, boxes_from_maps, detection_targets
from mien.tracking.layers import folded
from mien.tracking.objectives import detector_losses
from mien.tracking.protocol import Box


def maps_from(targets: torch.Tensor) -> Detections:
    return Detections(torch.logit(targets[:, 0].clamp(1e-4, 1 - 1e-4)), targets[:, 1], targets[:, 2:])


def test_decoding_inverts_the_targets():
    boxes = [Box.square(np.array([40.3, 61.0]), 30.0), Box.square(np.array([130.0, 100.7]), 75.0)]
    targets, counted = detection_targets([boxes, []], 160, 192)
    assert counted[0].sum() >= 2 and not counted[1].any()
    found = boxes_from_maps(maps_from(targets), 0, 0.5)
    assert boxes_from_maps(maps_from(targets), 1, 0.5) == []
    for box, expected in zip(found, sorted(boxes, key=lambda b: -b.area), strict=True):
        assert np.allclose(
            [box.x0, box.y0, box.x1, box.y1], [expected.x0, expected.y0, expected.x1, expected.y1], atol=0.02
        )


def test_a_face_whose_middle_is_outside_is_no_target():
    targets, counted = detection_targets([[Box(-50, -50, 10, 10)]], 64, 64)
    assert targets.abs().sum() == 0 and not counted.any()


def test_shapes_folding_and_losses():
    torch.set_num_threads(1)
    net = FaceDetector(DetectorConfig(widths=(4, 8, 8, 8, 8), merged=8))
    pictures = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    net(pictures)
    maps = net.eval()(pictures)
    assert maps.heat.shape == maps.size.shape == (2, 8, 12) and maps.offset.shape == (2, 2, 8, 12)
    assert torch.allclose(folded(net)(pictures).heat, maps.heat, atol=1e-4)
    boxes = [[Box.square(np.array([40.0, 30.0]), 25.0)], []]
    exact = detector_losses(maps_from(detection_targets(boxes, 64, 96)[0]), boxes, 64, 96)
    assert (
        exact["size"] < 1e-5 and exact["offset"] < 1e-5 and exact["heat"] < detector_losses(maps, boxes, 64, 96)["heat"]
    )
