"""What runs beside dispatchd, each as a process of its own: the servers it is compared with, its
GitHub, and those who send it requests."""
