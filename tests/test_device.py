import pytest
import torch

from mien.device import choose_device, describe_device
from mien.errors import DeviceError


def test_what_is_asked_for_is_what_is_given():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device() == choose_device("auto")
    assert "threads" in describe_device(torch.device("cpu"))


@pytest.mark.parametrize("name", ["cuda:99", "quantum", "cpu:x", "meta"])
def test_an_absent_device_is_refused_not_replaced(name):
    with pytest.raises(DeviceError):
        choose_device(name)
