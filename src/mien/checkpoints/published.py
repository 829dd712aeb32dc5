"""What others published and `mien import` reads: files, what they are for, where their authors offer them, terms.

The terms are what the authors' public pages said when this table was written; they may have changed, and weights can
carry conditions of their training data beside those of the code. Nothing here is downloaded by the program.
"""

from __future__ import annotations

from typing import NamedTuple


class PublishedFile(NamedTuple):
    """One file of a published model.

    Attributes:
        option: of `mien import` that takes it; "" where no bundle holds it.
        file: the name its authors gave it.
        purpose: what it does.
        origin: page that leads to it.
        terms: what is known of its licence.
    """

    option: str
    file: str
    purpose: str
    origin: str
    terms: str


class PublishedModel(NamedTuple):
    """A published system and the files it is made of; `family` is the word after `mien import`."""

    family: str
    title: str
    files: tuple[PublishedFile, ...]


GITHUB = "https://github.com/"
DIRECTIONS = GITHUB + "StelaBou/stylegan_directions_face_reenactment"
STYLEMASK = GITHUB + "StelaBou/StyleMask"
HYPERREENACT = GITHUB + "StelaBou/HyperReenact"
DECA = GITHUB + "yfeng95/DECA"
E4E = GITHUB + "omertov/encoder4editing"
ROSINALITY = GITHUB + "rosinality/stylegan2-pytorch"
NVIDIA = GITHUB + "NVlabs/stylegan2-ada-pytorch"
INSIGHTFACE = GITHUB + "TreB1eN/InsightFace_Pytorch"
FLAME = "https://flame.is.tue.mpg.de"

NONE_STATED = "unknown, ask the authors: their repository states no licence"
VOXCELEB = f"{NONE_STATED}; trained on VoxCeleb1"
DECA_TERMS = "DECA's licence: non-commercial research, education and art only; no redistribution"
NVIDIA_TERMS = "NVIDIA Source Code License (non-commercial): converted from NVIDIA's weights"

_DECA_FILE = PublishedFile("--deca", "deca_model.tar", "measures pose, jaw and expression", DECA, DECA_TERMS)

MODELS: tuple[PublishedModel, ...] = (
    PublishedModel(
        "voxceleb",
        f"Directions (BMVC 2022): heads of VoxCeleb, 256 x 256; {HYPERREENACT} shares all but A_matrix.pt",
        (
            PublishedFile("--generator", "stylegan-voxceleb.pt", "draws the face", DIRECTIONS, VOXCELEB),
            PublishedFile("--encoder", "e4e-voxceleb.pt", "turns a photo into a code", DIRECTIONS, VOXCELEB),
            PublishedFile("--directions", "A_matrix.pt", "moves the code: reenact, edit", DIRECTIONS, VOXCELEB),
            _DECA_FILE,
        ),
    ),
    PublishedModel(
        "ffhq",
        "StyleMask (FG 2023): faces of FFHQ, 1024 x 1024",
        (
            PublishedFile("--generator", "stylegan2-ffhq-config-f_1024.pt", "draws the face", ROSINALITY, NVIDIA_TERMS),
            PublishedFile(
                "--encoder",
                "e4e_ffhq_encode_1024.pt",
                "turns a photo into a code",
                E4E,
                "code: MIT; weights: unknown, ask the authors (trained on FFHQ, with NVIDIA's generator)",
            ),
            PublishedFile(
                "--masks", "mask_network_1024.pt", "mixes two codes: reenact --method stylemask", STYLEMASK, NONE_STATED
            ),
        ),
    ),
    PublishedModel(
        "parts",
        "Any combination of the above, and generators trained by others",
        (
            PublishedFile(
                "--generator",
                "*.pkl",
                "draws the face (stylegan2-ada-pytorch, stylegan3 with a stylegan2 config)",
                NVIDIA,
                "NVIDIA's own: NVIDIA Source Code License (non-commercial); others: ask whoever trained it",
            ),
            PublishedFile(
                "--generator",
                "*.pt",
                "draws the face (rosinality's training script)",
                ROSINALITY,
                "ask whoever trained it",
            ),
        ),
    ),
    PublishedModel(
        "",
        "For training and measuring; no bundle holds them",
        (
            PublishedFile(
                "",
                "model_ir_se50.pth",
                "identity of faces (losses, metrics)",
                INSIGHTFACE,
                "code: MIT; weights: unknown, ask the authors",
            ),
            PublishedFile(
                "",
                "generic_model.pkl",
                "FLAME 2020 head model (losses)",
                FLAME,
                "sign-up and agreement to the FLAME licence there; non-commercial research",
            ),
            PublishedFile("", "landmark_embedding.npy", "landmarks on FLAME (losses)", DECA, DECA_TERMS),
        ),
    ),
)


def listing() -> str:
    """The table as text, one block per model."""
    blocks = []
    for model in MODELS:
        command = f"mien import {model.family} OUT …" if model.family else "not for mien import"
        lines = [f"{model.title}\n  {command}"]
        for file in model.files:
            head = f"  {file.option or '-':<13}{file.file:<33}{file.purpose}"
            lines.append(f"{head}\n{'':<15}from:  {file.origin}\n{'':<15}terms: {file.terms}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
