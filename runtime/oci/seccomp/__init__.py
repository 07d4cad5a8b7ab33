"""seccomp: the filter on system calls (seccomp(2), runtime-spec config-linux.md "Seccomp").

compiler.py turns linux.seccomp into a program of classic BPF; program.py has the instructions and their assembly; the
calls_*.py are the names and numbers of each architecture. Counterpart: libseccomp, which runc and crun link.
"""
