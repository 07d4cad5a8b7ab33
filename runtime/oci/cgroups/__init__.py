"""Control groups (cgroups(7)): who is counted and limited together. v1, v2 and the two side by side ("hybrid").

probe.py      which hierarchies are mounted where, and where we are in them
group.py      one container's group: make, join, limit, freeze, list, kill, remove
v1.py v2.py   pure: linux.resources -> the files to write, in order
device_filter.py   v2 only: device rules as a BPF program (v1 has a file for them)
mounting.py   the container's own view at /sys/fs/cgroup
"""
