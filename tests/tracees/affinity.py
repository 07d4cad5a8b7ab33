"""Asks which processors it may use, its child's too, and gives each a mask of its own; prints what it was told."""

import os

first = min(os.sched_getaffinity(0))
told, tell = os.pipe()
child = os.fork()
if child == 0:
    os.close(tell)
    os.read(told, 1)
    print(sorted(os.sched_getaffinity(0)), flush=True)
    os._exit(0)
print(sorted(os.sched_getaffinity(0)), flush=True)
print(sorted(os.sched_getaffinity(child)), flush=True)
os.sched_setaffinity(child, {first})
print(sorted(os.sched_getaffinity(child)), flush=True)
print(sorted(os.sched_getaffinity(0)), flush=True)
os.close(tell)
os.waitpid(child, 0)
os.sched_setaffinity(0, {first})
print(sorted(os.sched_getaffinity(0)), flush=True)
if os.fork() == 0:
    print(sorted(os.sched_getaffinity(0)), flush=True)
    os._exit(0)
os.wait()
