"""Calls about processes, signals, time and waiting."""

import ctypes
import os
import resource
import select
import signal
import struct
import time

from kernel import libc, prctl, syscall

seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
syscall("rt_sigaction", 10, None, ctypes.create_string_buffer(32), 8)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD, 34, 64])
signal.pthread_sigmask(signal.SIG_BLOCK, [])
signal.pthread_sigmask(signal.SIG_SETMASK, [])
both = ctypes.create_string_buffer(struct.pack("<Q", 0x200), 8)
syscall("rt_sigprocmask", 0, both, both, 8)
syscall("rt_sigprocmask", 2, struct.pack("<Q", 0), None, 8)
old = ctypes.create_string_buffer(24)
syscall("sigaltstack", struct.pack("<QiiQ", 0x700000, 0, 0, 32768), old)
syscall("sigaltstack", struct.pack("<QiiQ", 0, 2, 0, 0), old)
syscall("sigaltstack", None, old)

child = os.fork()
if child == 0:
    os._exit(7)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
os.wait4(child, 0)
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGKILL)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
handle = os.pidfd_open(child)
syscall("pidfd_send_signal", handle, signal.SIGCONT, None, 0)
os.waitpid(child, 0)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    pass
try:
    os.kill(child, 0)
except ProcessLookupError:
    pass
os.kill(os.getpid(), signal.SIGUSR1)
os.kill(os.getpid(), 0)
os.setpgid(0, 0)
os.getpgid(0)
os.getsid(0)

resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))
resource.prlimit(0, resource.RLIMIT_FSIZE, (4096, 8192))
resource.prlimit(0, resource.RLIMIT_FSIZE, (1000, 8192))
resource.getrusage(resource.RUSAGE_SELF)
os.uname()
os.sched_getaffinity(0)
os.sched_setaffinity(0, os.sched_getaffinity(0))
os.getpriority(os.PRIO_PROCESS, 0)
os.getloadavg()
libc("personality", ctypes.c_ulong(0xFFFFFFFF))
os.getgroups()
os.getresuid()

for option in (3, 7, 21, 27, 30):  # those without arguments
    prctl(option)
prctl(1, signal.SIGTERM)
prctl(4, 0)
prctl(4, 1)
prctl(8, 1)
prctl(15, b"a-name")
prctl(16, ctypes.create_string_buffer(16))
prctl(23, 21)
prctl(23, 60)
prctl(36, 1)
prctl(37, ctypes.create_string_buffer(4))
prctl(47, 1, 21)
prctl(47, 4)
prctl(39)
prctl(41, 1)

epoll = select.epoll()
reader, writer = os.pipe()
epoll.register(reader, select.EPOLLIN | select.EPOLLET)
epoll.modify(reader, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT)
epoll.poll(0)
os.write(writer, b"x")
epoll.poll(-1, 4)
epoll.unregister(reader)
poll = select.poll()
poll.register(reader, select.POLLIN | select.POLLPRI)
poll.register(writer, select.POLLOUT)
poll.poll(0)
select.select([reader], [writer], [], 0)
select.select([], [], [], 0)
os.read(reader, 1)
empty = select.poll()
empty.register(reader, select.POLLIN)
empty.poll(0)

event = os.eventfd(3, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
os.read(event, 8)
time.sleep(0.001)
signal.setitimer(signal.ITIMER_REAL, 3600, 0.5)
signal.getitimer(signal.ITIMER_REAL)
signal.setitimer(signal.ITIMER_REAL, 0)
libc("timerfd_settime", libc("timerfd_create", 1, 0o2000000), 0, struct.pack("<4q", 0, 0, 5, 1), None)
libc("signalfd", -1, struct.pack("<Q", 1 << 9) + bytes(120), 0o2000000)

word = ctypes.c_int(5)
wait = struct.pack("<2q", 0, 1000)
for operation, value, timeout, second, third in (
    (0, 4, None, None, 0),  # FUTEX_WAIT of a word that has changed
    (0x80, 5, wait, None, 0),
    (1, 1, None, None, 0),  # FUTEX_WAKE
    (0x89 | 0x100, 4, None, None, 0xFFFFFFFF),  # FUTEX_WAIT_BITSET
    (10, 1, None, None, 3),  # FUTEX_WAKE_BITSET
    (4, 1, 2, word, 5),  # FUTEX_CMP_REQUEUE
    (5, 1, 1, word, 0x01001000),  # FUTEX_WAKE_OP
):
    pointer = ctypes.byref(word) if second is not None else None
    syscall("futex", ctypes.byref(word), operation, value, timeout, pointer, third)

os._exit(3)
