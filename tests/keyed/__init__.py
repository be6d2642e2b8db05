"""Made-up calls of every route of the daemon that wants a key. The routes are read off the daemon,
so that a new one is asked without anybody thinking of it."""
