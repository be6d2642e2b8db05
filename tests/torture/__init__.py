"""The daemon killed at random moments under load, a thousand times or as often as one likes:
``python -m tests.torture --kills 1000``. What is promised is held against what GitHub received."""
