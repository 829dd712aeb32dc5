"""Pictures to codes."""

import torch

from mien.inversion import Encoder, EncoderConfig, grow_encoder

SMALL = EncoderConfig(resolution=16, channel_base=128, channel_max=16, hidden=32, num_rows=6, style_dim=12)


def test_shapes_and_any_input_size():
    encoder = Encoder(SMALL)
    for side in (16, 32, 50):
        assert encoder(torch.zeros(2, 3, side, side)).shape == (2, 6, 12)


def test_offsets_start_at_zero():
    base, offsets = Encoder(SMALL).split(torch.randn(2, 3, 16, 16))
    assert not offsets.any() and base.any()


def test_growth_keeps_old_rows():
    encoder = Encoder(SMALL)
    torch.nn.init.normal_(encoder.offsets.weight)
    grown = grow_encoder(encoder, 8)
    image = torch.randn(1, 3, 16, 16)
    old, new = encoder(image), grown(image)
    torch.testing.assert_close(new[:, :6], old)
    torch.testing.assert_close(new[:, 6:], encoder.split(image)[0][:, None].expand(-1, 2, -1))
