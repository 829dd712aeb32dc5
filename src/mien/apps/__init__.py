"""Command line: converts arguments, calls the pipelines, shows what they report."""
