"""Waits in read(2) on a pipe until it is told to go on: a call that has begun and does not return."""

import sys

with open(sys.argv[1], "rb", buffering=0) as fifo:
    fifo.read(1)
