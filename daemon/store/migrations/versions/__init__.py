"""The steps, oldest first by their number. A released step is never edited."""
