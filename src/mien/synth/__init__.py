"""Renderings of people who do not exist, with the exact parameters behind every picture (extra `synth`)."""

from mien.synth.contact import render_contact_sheet
from mien.synth.dataset import DatasetConfig, RenderedHeads, write_dataset
from mien.synth.people import Person, random_person
from mien.synth.renderer import Frame, HeadRenderer
from mien.synth.scenery import Scene, random_scene
from mien.synth.sequence import Motion, random_motion, render_motion, render_sequence

__all__ = [
    "DatasetConfig",
    "Frame",
    "HeadRenderer",
    "Motion",
    "Person",
    "RenderedHeads",
    "Scene",
    "random_motion",
    "random_person",
    "random_scene",
    "render_contact_sheet",
    "render_motion",
    "render_sequence",
    "write_dataset",
]
