"""The daemon under load for as long as one likes, with reloads, kills and a disk that fills up:
``python -m tests.soak``. What it acknowledged is held against what GitHub received."""
