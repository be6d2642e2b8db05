"""The measurements, a family a file. Each gives its rows, given a plan."""
