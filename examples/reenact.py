"""Drive a photo with a video, frame by frame.

python examples/reenact.py anna.jpg bob.mp4 out.mp4
"""

import sys

import mien
from mien.media import VideoWriter


def main(source: str, driver: str, output: str) -> None:
    model = mien.load("avatar")
    identity = model.identify(mien.read_image(source))  # slow, once per person
    video = mien.read_video(driver)
    with VideoWriter(output, video.info.rate, video.info.time_base, audio_from=video.info.path) as writer:
        stream = model.stream(identity, video)
        for result in stream.results():
            writer.write(result.image, result.frame.pts, result.frame.duration)
    for notice in (*identity.notices, *stream.notices):
        sys.stderr.write(f"note: {notice}\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
