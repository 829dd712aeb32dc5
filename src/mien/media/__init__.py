"""Moving pictures in and out: lazy, exact in time, constant in memory."""

from mien.media.pictures import PictureFolderWriter, PictureWriter, check_folder
from mien.media.reader import Frame, Video, VideoInfo, probe_video, read_video
from mien.media.sampling import sample_video
from mien.media.sequence import PictureSequence, open_driver
from mien.media.writer import VIDEO_SUFFIXES, VideoWriter, check_output

__all__ = [
    "VIDEO_SUFFIXES",
    "Frame",
    "PictureFolderWriter",
    "PictureSequence",
    "PictureWriter",
    "Video",
    "VideoInfo",
    "VideoWriter",
    "check_folder",
    "check_output",
    "open_driver",
    "probe_video",
    "read_video",
    "sample_video",
]
