"""A signal with a handler, from another process."""

import os
import signal

seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
if os.fork() == 0:
    os.kill(os.getppid(), signal.SIGUSR1)
    os._exit(0)
os.wait()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
os._exit(0 if seen == [signal.SIGUSR1] else 1)
