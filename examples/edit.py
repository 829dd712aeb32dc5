"""Turn and smile: a photo at named coordinates, as a strip of pictures.

python examples/edit.py anna.jpg out.png
"""

import sys

import mien
from mien.images import grid


def main(source: str, output: str) -> None:
    model = mien.load("avatar")
    identity = model.identify(mien.read_image(source))
    turned = [model.edit(identity, yaw=angle) for angle in (-30, -15, 0, 15, 30)]  # degrees; positive: image's right
    smiling = [model.edit(identity, mouth_smile=weight) for weight in (0.0, 0.25, 0.5, 0.75, 1.0)]
    mien.write_image(output, grid(turned + smiling, columns=5))


if __name__ == "__main__":
    main(*sys.argv[1:3])
