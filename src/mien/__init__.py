"""Neural face reenactment: one photograph, somebody else's motion.

The public names are looked up on first use, so that importing the package is quick and touches neither torch nor disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.errors import MienError
    from mien.images import read_image, write_image
    from mien.media import read_video
    from mien.pipelines import load, reenact_video

__version__ = "0.1.0"
__all__ = ["MienError", "__version__", "load", "read_image", "read_video", "reenact_video", "write_image"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from mien.pipelines import load as found
    elif name == "reenact_video":
        from mien.pipelines import reenact_video as found
    elif name == "read_image":
        from mien.images import read_image as found
    elif name == "write_image":
        from mien.images import write_image as found
    elif name == "read_video":
        from mien.media import read_video as found
    elif name == "MienError":
        from mien.errors import MienError as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
