import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

from mien.errors import ImageError, OutputError
from mien.images import SYNTHETIC_NOTE, grid, read_image, resize, shrink_to, to_tensor, to_uint8, turn, write_image


def _picture(rng, height=6, width=9):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_ranges_and_axes_change_only_here(rng):
    picture = _picture(rng)
    tensor = to_tensor(picture)
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float32, (1, 3, 6, 9))
    assert to_tensor(np.array([[[0, 255, 51]]], np.uint8)).flatten().tolist() == pytest.approx([-1, 1, -0.6])
    assert tensor[0, 2, 4, 7] == pytest.approx(picture[4, 7, 2] / 127.5 - 1)


def test_all_bytes_survive_the_round_trip():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    assert np.array_equal(to_uint8(to_tensor(levels)), levels)
    assert to_uint8(torch.full((1, 3, 1, 1), 1.7)).max() == 255
    assert to_uint8(torch.full((1, 3, 1, 1), -1.7)).min() == 0


def test_png_is_exact_and_says_that_it_is_synthetic(tmp_path, rng):
    picture = _picture(rng)
    write_image(tmp_path / "a.png", picture)
    assert np.array_equal(read_image(tmp_path / "a.png"), picture)
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.info["Description"] == SYNTHETIC_NOTE
    write_image(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.getexif()[0x010E] == SYNTHETIC_NOTE


def test_reading_turns_by_exif_and_lays_over_white(tmp_path, rng):
    picture = _picture(rng)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    Image.fromarray(picture).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(picture, -1))
    Image.new("RGBA", (2, 3), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()
    Image.new("L", (2, 3), 7).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").shape == (3, 2, 3)


def test_bad_pictures_give_typed_errors(tmp_path):
    with pytest.raises(ImageError):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageError):
        read_image(tmp_path / "text.png")
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    (tmp_path / "half.png").write_bytes(buffer.getvalue()[:800])
    with pytest.raises(ImageError):
        read_image(tmp_path / "half.png")
    Image.new("1", (20_001, 2)).save(tmp_path / "wide.png")
    with pytest.raises(ImageError):
        read_image(tmp_path / "wide.png")


def test_a_failed_write_leaves_nothing_behind(tmp_path, rng):
    with pytest.raises(OutputError):
        write_image(tmp_path / "a.xyz", _picture(rng))
    with pytest.raises(OutputError):
        write_image(tmp_path / "no folder" / "a.png", _picture(rng))
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError):
        write_image(tmp_path / "taken.png", _picture(rng))
    assert os.listdir(tmp_path) == ["taken.png"]


def test_resizing_keeps_range_and_flat_colour():
    flat = torch.full((2, 3, 8, 12), 0.25)
    assert resize(flat, (5, 7)).shape == (2, 3, 5, 7)
    assert torch.allclose(resize(flat, 20), torch.full((2, 3, 20, 20), 0.25), atol=1e-6)
    edge = torch.where(torch.arange(8) < 4, -1.0, 1.0).expand(1, 3, 8, 8)
    assert resize(edge, 33).abs().max() <= 1
    assert resize(edge, 8) is edge


def test_shrinking_by_a_whole_factor_averages_blocks():
    ramp = torch.arange(16.0).view(1, 1, 4, 4)
    assert shrink_to(ramp, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_grid_fills_a_partial_row_with_white(rng):
    tiles = [_picture(rng) for _ in range(3)]
    sheet = grid(tiles, 2)
    assert sheet.shape == (12, 18, 3)
    assert np.array_equal(sheet[:6, 9:], tiles[1]) and np.array_equal(sheet[6:, :9], tiles[2])
    assert (sheet[6:, 9:] == 255).all()


def test_resizing_does_not_depend_on_the_batch():
    """Bicubic interpolation overshoots at a step; each picture is clipped to its own range."""
    step = (torch.arange(20) >= 10).float().expand(3, 3, 20, 20)
    batch = (
        step * torch.tensor([0.1, 1.0, 2.0])[:, None, None, None] - torch.tensor([0.0, 1.0, 0.5])[:, None, None, None]
    )
    together = resize(batch, 33)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], resize(batch[i : i + 1], 33))
    assert together[0].max() <= batch[0].max() and together[0].min() >= batch[0].min()


def test_turning_is_clockwise_about_the_centre():
    """A white quarter of the picture comes to lie where a clockwise turn puts it; nothing leaves the range."""
    picture = torch.full((1, 3, 32, 32), -1.0)
    picture[..., :16, :16] = 1.0  # top left
    quarter = torch.tensor([torch.pi / 2])
    assert torch.allclose(turn(picture, quarter), picture.flip(3), atol=1e-4), "top left → top right"
    assert torch.allclose(turn(turn(picture, quarter), -quarter), picture, atol=1e-4)
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    turned = turn(noise, torch.tensor([0.0, 0.7]))
    assert (
        torch.allclose(turned[0], noise[0], atol=1e-4) and turned.min() >= noise.min() and turned.max() <= noise.max()
    )


def test_corners_of_turned_pictures_are_blurred_continuations():
    """Stripes go on in the corners, but not as stripes: nothing is mirrored and nothing is black."""
    stripes = torch.ones(1, 3, 64, 64) * 0.5
    stripes[..., ::2, :] = 0.9
    turned = turn(stripes, torch.tensor([torch.pi / 4]))
    assert turned.min() >= 0.5
    line = torch.full((1, 3, 64, 64), -1.0)
    line[..., 8:16, :] = line[..., 48:56, :] = line[..., 8:16] = line[..., 48:56] = 1.0
    line[..., :8, :] = line[..., 56:, :] = line[..., :8] = line[..., 56:] = -1.0
    assert turn(line, torch.tensor([torch.pi / 4]))[0, :, :8, :8].max() < -0.5, "a line near the edge is not mirrored"
    assert turned[0, 0, :6, :6].std() < 0.05 and turned[0, 0, 29:35, 29:35].std() > 0.05
