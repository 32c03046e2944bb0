"""Measure imports: `python -m tests.bench`."""

from tests.bench.imports import main

if __name__ == "__main__":
    main()
