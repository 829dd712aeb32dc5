"""Neural face reenactment: one photograph, somebody else's motion."""

__version__ = "0.1.0"
