"""``python -m lionk`` is the command ``lionk``."""

from .app import main

if __name__ == "__main__":
    main()
