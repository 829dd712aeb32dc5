"""`python -m mien` is the command line."""

from mien.apps.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
