"""`features`: what this runtime can do (runtime-spec features.md)."""

import json
import sys

from runtime.oci import capabilities, mount_options, namespaces, schema
from runtime.oci.commands import arguments
from runtime.oci.flags import Arguments, Flag
from runtime.oci.seccomp import compiler
from runtime.oci.version import SPEC_VERSION, VERSION

ABOUT = "Print what this runtime can do, as the runtime-spec's features.md has it."
FLAGS: tuple[Flag, ...] = ()


@arguments.verb("features", ABOUT, FLAGS, "")
def main(root: str, found: Arguments) -> int:
    words = {
        *mount_options.SET_FLAGS,
        *mount_options.CLEAR_FLAGS,
        *mount_options.PROPAGATION,
        *mount_options.RECURSIVE_SET,
        *mount_options.RECURSIVE_CLEAR,
        *mount_options.EXTENSIONS,
    }
    features = {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": list(schema.HOOK_NAMES),
        "mountOptions": sorted(words),
        "linux": {
            "namespaces": [kind.name for kind in namespaces.KINDS],
            "capabilities": list(capabilities.NUMBERS),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": list(compiler.ACTIONS),
                "operators": sorted(compiler.OPERATORS),
                "archs": list(compiler.AUDIT_ARCHITECTURES),
                "knownFlags": list(compiler.FLAGS),
                "supportedFlags": list(compiler.FLAGS),
            },
            "apparmor": {"enabled": True},
            # process.selinuxLabel is taken, linux.mountLabel refused: that is not what the word means
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "memoryPolicy": {"modes": [], "flags": []},
            "netDevices": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": False}},
        },
        "annotations": {"glassbottom.version": VERSION},
        "potentiallyUnsafeConfigAnnotations": [],
    }
    sys.stdout.write(json.dumps(features, indent=4) + "\n")
    return 0
