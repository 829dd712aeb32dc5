"""Carrying the audio of one file into another, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from mien.errors import MediaError
from mien.media.reader import codec_name


class AudioTrack:
    """All audio streams of a file, added to an output container and copied as the video advances.

    Args:
        source: the file to take audio from; it may have none.
        output: a container whose header is not written yet.

    `notices` names each stream that had to be encoded anew because the container cannot hold its codec.

    Raises:
        MediaError: the file cannot be opened.
    """

    def __init__(self, source: Path, output: OutputContainer) -> None:
        self.notices: list[str] = []
        self._source, self._output = source, output
        try:
            self._input = av.open(str(source), "r")
        except FFmpegError as error:
            raise MediaError(f"{source}: its audio cannot be read ({error.strerror})") from error
        self._copies: dict[int, AudioStream] = {}
        self._encodings: dict[int, AudioStream] = {}
        for stream in self._input.streams.audio:
            self._add(stream)
        self._packets = self._demuxed()
        self._waiting: Packet | None = next(self._packets, None)

    def copy_until(self, time_s: Fraction | None) -> None:
        """Write every packet that begins at or before `time_s` (seconds); None: all that is left."""
        while self._waiting is not None:
            if time_s is not None and _start_s(self._waiting) > time_s:
                return
            self._write(self._waiting)
            self._waiting = next(self._packets, None)
        if time_s is None:
            for stream in self._encodings.values():
                self._output.mux(stream.encode(None))

    def close(self) -> None:
        """Close the source file."""
        self._input.close()

    def _add(self, stream: AudioStream) -> None:
        name = codec_name(stream)
        if name in self._output.supported_codecs:
            self._copies[stream.index] = self._output.add_stream_from_template(stream)
            return
        encoding = self._output.add_stream("aac", rate=stream.rate, layout=_layout_name(stream))
        encoding.time_base = Fraction(1, stream.rate)
        self._encodings[stream.index] = encoding
        self.notices.append(f"audio: {self._output.format.name} cannot hold {name}; it was encoded as AAC")

    def _demuxed(self) -> Iterator[Packet]:
        streams = [self._input.streams[index] for index in (*self._copies, *self._encodings)]
        if not streams:
            return
        try:
            for packet in self._input.demux(streams):
                if packet.dts is not None:
                    yield packet
        except FFmpegError as error:
            raise MediaError(f"{self._source}: its audio is damaged ({error.strerror})") from error

    def _write(self, packet: Packet) -> None:
        index = packet.stream.index
        if index in self._copies:
            packet.stream = self._copies[index]
            self._output.mux(packet)
            return
        try:
            frames = packet.decode()
        except FFmpegError as error:
            raise MediaError(f"{self._source}: its audio is damaged ({error.strerror})") from error
        for frame in frames:
            self._output.mux(self._encodings[index].encode(frame))


def _start_s(packet: Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _layout_name(stream: AudioStream) -> str:
    """Old formats count channels without naming them."""
    return {1: "mono", 2: "stereo"}.get(stream.layout.nb_channels, stream.layout.name)
