"""The embedded default image, built out of the host's own userland: no download, no registry, ready on first start.

Two layers, as most images have a distribution and something on top:
    1. the programs: a busybox under the name of each of its applets, else sh, coreutils and friends with the loader and
       libraries that they need, mirrored under the host's own paths
    2. the files in /etc that make it a system of its own: passwd, group, hosts, os-release

What the real counterpart would be: `FROM scratch; ADD rootfs.tar /`. See `elf.py` for why ldd is never run.
"""

import json
import os
import shutil

from runtime.daemon.image_content import digest_of
from runtime.daemon.image_import import BuiltImage
from runtime.daemon.layer_tar import LayerTar
from runtime.daemon.library_search import needed_files
from runtime.daemon.platforms import go_architecture
from runtime.daemon.spawn import run_program
from runtime.daemon.timestamps import rfc3339

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIRECTORIES = ("dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "usr/local/bin", "var/log")

_PROGRAMS = (
    "sh ls cat echo printf true false test env printenv id whoami hostname uname pwd sleep date head tail wc  "
    "sort uniq cut tr tee touch mkdir rmdir rm mv cp ln chmod chown stat readlink basename dirname seq yes dd df  "
    "du ps kill free mount umount ip nproc nice timeout grep sed find xargs ping unshare stty tty mknod  "
    "sha256sum dmesg"
).split()

_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/sbin/nologin\n"
    "guest:x:1000:1000:guest:/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nguest:x:1000:\naudience:x:2000:guest\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1\tlocalhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "os-release": 'NAME="hostbox"\nID=hostbox\nPRETTY_NAME="hostbox: the userland of the host that built it"\n',
    "profile": f"export PATH={PATH}\n",
}


class NoUserlandError(Exception):
    """The host has no shell that an image could be made of."""


async def build() -> BuiltImage:
    """Build the image from what is installed here. Equal hosts give equal digests."""
    busybox = shutil.which("busybox", path=PATH)
    base = await _busybox_layer(busybox) if busybox else _programs_layer()
    layers = (base.to_bytes(), _etc_layer().to_bytes())
    made_of = "busybox" if busybox else "sh and coreutils"
    # A part of the image's digest, so it must not be now: reproducible-builds.org/docs/source-date-epoch.
    created = int(os.environ.get("SOURCE_DATE_EPOCH") or base.newest_seconds)
    return BuiltImage(layers, _config(layers, made_of, rfc3339(created * 10**9)))


async def _busybox_layer(busybox: str) -> LayerTar:
    layer = _skeleton()
    layer.copy(busybox, "bin/busybox", 0o755)
    for library in needed_files(busybox)[1:]:  # none for a static one
        layer.mirror(library)
    # `busybox --list` is the one thing that is asked of the program itself: the applet table is compiled in.
    applets = (await run_program([busybox, "--list"])).decode().split()
    for applet in applets:
        if applet != "busybox":
            # As in the busybox image of Docker Hub: a name more costs nothing, a symbolic link would cost an inode.
            layer.add_hard_link(f"bin/{applet}", "bin/busybox")
    return layer


def _programs_layer() -> LayerTar:
    found = {name: path for name in _PROGRAMS if (path := shutil.which(name, path=PATH))}
    if "sh" not in found:
        raise NoUserlandError("cannot build the hostbox image: no busybox and no sh on this host")
    layer = LayerTar()
    for path in needed_files(*found.values()):
        layer.mirror(path)
    if "bin/sh" not in layer and "usr/bin/sh" in layer:
        layer.add_link("bin", "usr/bin")
    if os.path.exists("/etc/ld.so.cache"):
        layer.mirror("/etc/ld.so.cache")  # for libraries outside of the default directories
    for extra in _skeleton_paths():
        layer.add_directory(*extra)
    return layer


def _skeleton() -> LayerTar:
    layer = LayerTar()
    for path, mode in _skeleton_paths():
        layer.add_directory(path, mode)
    return layer


def _skeleton_paths() -> list[tuple[str, int]]:
    return [(path, 0o755) for path in _DIRECTORIES] + [("tmp", 0o1777), ("var/tmp", 0o1777)]


def _etc_layer() -> LayerTar:
    layer = LayerTar()
    for name, text in _ETC.items():
        layer.add_file(f"etc/{name}", text.encode())
    return layer


def _config(layers: tuple[bytes, ...], made_of: str, created: str) -> bytes:
    """The image config (image-spec, config.md): how to run it, and which layers it consists of."""
    history = [f"the programs of this host: {made_of}", "the files in /etc that make it a system of its own"]
    document = {
        "created": created,
        "architecture": go_architecture(),
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [{"created": created, "created_by": text} for text in history],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
