"""How dispatchd is packed: the build backend of the wheel and the sdist, man pages, completions and
the Debian package. None of this is installed."""
