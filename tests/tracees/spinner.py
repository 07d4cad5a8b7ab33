"""Computes without a single system call, until it is killed."""

import os

os.write(1, b"spinning\n")
while True:
    pass
