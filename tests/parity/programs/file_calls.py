"""Calls about files: every way to open, make, ask about, change, lock, copy and remove them."""

import ctypes
import fcntl
import os
import struct
import sys

from kernel import syscall

os.chdir(sys.argv[1])
os.umask(0o022)
os.umask(0o022)
AT_FDCWD = -100

fd = os.open("plain", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
os.write(fd, b'tab\tquote"backslash\\ bell\a\x00\x001\xff line\n' + b"x" * 400)
os.pwrite(fd, b"at five", 5)
os.writev(fd, [b"one", b"", b"three" * 3])
os.pwritev(fd, [b"ab", b"cd"], 100)
os.lseek(fd, 0, os.SEEK_SET)
os.lseek(fd, -5, os.SEEK_END)
os.read(fd, 100)
os.read(fd, 100)
os.pread(fd, 20, 3)
os.readv(fd, [bytearray(4), bytearray(8)])
os.preadv(fd, [bytearray(4), bytearray(8)], 2)
os.fstat(fd)
os.stat("plain")
os.lstat("plain")
os.ftruncate(fd, 1 << 33)
os.truncate("plain", 300)
os.posix_fallocate(fd, 0, 512)
os.posix_fadvise(fd, 0, 100, os.POSIX_FADV_DONTNEED)
os.fsync(fd)
os.fdatasync(fd)
os.fchmod(fd, 0o4755)
os.chmod("plain", 0o1644)
os.fchown(fd, os.getuid(), -1)
os.chown("plain", -1, os.getgid())
os.utime("plain", ns=(1_000_000_001, 2_000_000_002))
syscall("utimensat", AT_FDCWD, b"plain", struct.pack("<4q", 0, 0x3FFFFFFF, 0, 0x3FFFFFFE), 0)
os.utime("plain")
os.access("plain", os.F_OK)
os.access("plain", os.R_OK | os.W_OK | os.X_OK)
syscall("faccessat2", AT_FDCWD, b"plain", os.R_OK, 0x200)

for operation in (fcntl.LOCK_SH, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN):
    fcntl.flock(fd, operation)
fcntl.fcntl(fd, fcntl.F_GETFL)
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
fcntl.fcntl(fd, fcntl.F_GETFD)
fcntl.fcntl(fd, fcntl.F_SETFD, 0)
fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
os.close(fcntl.fcntl(fd, fcntl.F_DUPFD, 50))
os.close(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 50))
lock = struct.pack("<hhxxxxqqi4x", fcntl.F_WRLCK, 0, 10, 20, 0)
fcntl.fcntl(fd, fcntl.F_SETLK, lock)
fcntl.fcntl(fd, fcntl.F_GETLK, lock)
fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, struct.pack("<hhxxxxqqi4x", fcntl.F_UNLCK, 1, 0, 0, 0))

os.mkdir("folder", 0o750)
folder = os.open("folder", os.O_RDONLY | os.O_DIRECTORY | os.O_PATH)
os.mkdir("inner", 0o700, dir_fd=folder)
os.mkfifo("fifo", 0o600)
os.mknod("socket", 0o140600)
os.symlink("plain", "link")
os.symlink("../plain", "inner/link", dir_fd=folder)
os.readlink("link")
os.link("plain", "second")
os.link("plain", "third", dst_dir_fd=folder)
os.rename("second", "renamed")
os.rename("renamed", "moved", dst_dir_fd=folder)
syscall("renameat2", folder, b"moved", folder, b"third", 2)
syscall("renameat2", AT_FDCWD, b"plain", AT_FDCWD, b"link", 1)
os.lstat("moved", dir_fd=folder)
sorted(os.listdir("folder"))
os.statvfs(".")
for name in ("missing", "plain/under", "folder/missing"):
    try:
        os.stat(name)
    except OSError:
        pass
answer = ctypes.create_string_buffer(256)
syscall("statx", AT_FDCWD, b"plain", 0x100, 0x7FF, answer)
syscall("statx", folder, b"", 0x1000 | 0x4000, 0xFFF, answer)
syscall("statx", AT_FDCWD, b"missing", 0, 0x2, answer)
how = struct.pack("<3Q", os.O_RDONLY | os.O_CLOEXEC, 0, 0x08 | 0x04)
os.close(syscall("openat2", AT_FDCWD, b"plain", how, 24))
syscall("openat2", folder, b"../plain", how, 24)
os.close(syscall("openat2", AT_FDCWD, b"made", struct.pack("<3Q", os.O_WRONLY | os.O_CREAT, 0o600, 0), 24))

os.setxattr("plain", "user.name", b"value\0\1")
os.getxattr("plain", "user.name")
try:
    os.getxattr("plain", "user.missing")
except OSError:
    pass
os.removexattr("plain", "user.name")

other = os.open("other", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_SYNC, 0o600)
os.sendfile(other, fd, 0, 64)
os.sendfile(other, fd, None, 64)
reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
os.dup2(writer, 60)
os.dup2(writer, 61, inheritable=False)
os.close(os.dup(reader))
os.write(writer, b"in the pipe")
os.splice(reader, other, 5) if hasattr(os, "splice") else None
os.splice(fd, writer, 4, offset_src=1)
os.copy_file_range(fd, other, 4, offset_src=2, offset_dst=3)
os.copy_file_range(fd, other, 4)
os.read(reader, 100)
try:
    os.read(reader, 100)
except BlockingIOError:
    pass
memory = os.memfd_create("sealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE)
fcntl.fcntl(memory, fcntl.F_GET_SEALS)
os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o600)
os.unlink("fifo")
os.read(os.open("made", os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME), 1)
os.unlink("made")
os.unlink("inner/link", dir_fd=folder)
os.rmdir("inner", dir_fd=folder)
syscall("close_range", 60, 70, 0)
syscall("close_range", 80, 0xFFFFFFFF, 4)
os.getcwd()
os.chdir("folder")
os.fchdir(folder)
os._exit(0)
