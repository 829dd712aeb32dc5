"""Renderings of people who do not exist, with the exact parameters behind every picture (extra `synth`)."""
