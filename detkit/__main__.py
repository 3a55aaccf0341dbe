"""``python -m detkit`` is the ``detkit`` command."""

from detkit.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
