"""Renderings of people who do not exist, with the exact parameters behind every picture (extra `synth`)."""

from mien.synth.contact import render_contact_sheet
from mien.synth.dataset import DatasetConfig, RenderedHeads, write_dataset
from mien.synth.people import Person, random_person
from mien.synth.people_pack import PeoplePack, write_people
from mien.synth.photo_renderer import PhotoRenderer
from mien.synth.photo_scene import PhotoScene, random_photo_scene
from mien.synth.photograph import PhotoHead, PhotoTaker
from mien.synth.renderer import Frame, HeadRenderer
from mien.synth.scenery import Scene, random_scene
from mien.synth.sequence import Motion, random_motion, render_motion, render_sequence

__all__ = [
    "DatasetConfig",
    "Frame",
    "HeadRenderer",
    "Motion",
    "PeoplePack",
    "Person",
    "PhotoHead",
    "PhotoRenderer",
    "PhotoScene",
    "PhotoTaker",
    "RenderedHeads",
    "Scene",
    "random_motion",
    "random_person",
    "random_photo_scene",
    "random_scene",
    "render_contact_sheet",
    "render_motion",
    "render_sequence",
    "write_dataset",
    "write_people",
]
