"""Every error that mien raises on purpose: all derive from `MienError` and say in one sentence what can be done."""

from __future__ import annotations


class MienError(Exception):
    """Root of all errors raised on purpose by mien."""


class InputError(MienError):
    """Something the user handed in cannot be used."""


class ImageError(InputError):
    """A picture cannot be read, or is too large or too small."""


class MediaError(InputError):
    """A video or audio stream cannot be read."""


class NoFaceError(InputError):
    """No face was found where one is needed."""


class SeveralFacesError(InputError):
    """More than one face qualifies and none was chosen."""


class OutputError(MienError):
    """The result cannot be written where it was asked for."""


class DeviceError(MienError):
    """The asked-for device or precision is not available."""


class CheckpointError(MienError):
    """A weight file is damaged, hostile, or not what it claims to be."""


class BundleError(CheckpointError):
    """A bundle is missing, incomplete, or inconsistent."""


class MissingDataError(MienError):
    """A data file that is not part of the package was not found."""


class MissingExtraError(MienError):
    """An optional dependency is not installed.

    Args:
        package: import name of what is missing.
        extra: the extra of the mien distribution that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; it comes with: pip install 'mien[{extra}]'")
        self.package = package
        self.extra = extra


class RenderError(MienError):
    """The renderer could not be started or failed."""


class TrainingError(MienError):
    """A training run cannot start, resume, or go on."""
