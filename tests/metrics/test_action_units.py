import pytest
import torch

from mien.errors import InputError
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.metrics import ActionUnitDistance, action_units
from mien.metrics.action_units import ACTION_UNITS


def _faces(*shown: dict[str, float]) -> FaceParams:
    expression = torch.zeros(len(shown), len(ARKIT_NAMES))
    for row, weights in enumerate(shown):
        for name, value in weights.items():
            expression[row, ARKIT_NAMES.index(name)] = value
    count = len(shown)
    valid = torch.ones(count, dtype=torch.bool)
    return FaceParams(torch.zeros(count, 3), expression, torch.zeros(count, 68, 2), valid, torch.ones(count))


def test_units_are_switched_by_the_stronger_side():
    shown = action_units(_faces({"mouthSmileLeft": 0.4, "mouthSmileRight": 0.1, "jawOpen": 0.2}))[0]
    assert [unit for unit, on in zip(ACTION_UNITS, shown.tolist(), strict=True) if on] == [12]


def test_every_coefficient_of_the_table_exists():
    stems = {name.removesuffix("Left").removesuffix("Right") for name in ARKIT_NAMES}
    assert {stem for names in ACTION_UNITS.values() for stem in names} <= stems


def test_distance_counts_differing_units_and_leaves_out_lost_faces():
    metric = ActionUnitDistance()
    result = _faces({"jawOpen": 0.9}, {}, {"mouthSmileLeft": 0.9})
    target = _faces({"eyeBlinkLeft": 0.9}, {}, {})
    lost = FaceParams(
        target.angles, target.expression, target.landmarks, torch.tensor([True, True, False]), target.score
    )
    metric.update(result[:1], lost[:1])
    metric.update(result[1:], lost[1:])
    assert metric.result().count == 2
    assert metric.result().mean.item() == pytest.approx((2 / 20 + 0) / 2)


def test_other_parameters_are_refused():
    with pytest.raises(InputError, match="ARKit"):
        action_units(FaceParams.invalid(1, "deca"))
