"""Making a container, for `create` and `run` (runtime-spec runtime.md "Lifecycle").

The order: check everything, take the id, make the processes, run the hooks, and only when init waits in its FIFO does
the container count as created. A create that fails leaves nothing; one that is killed leaves a container in the state
"creating", whose init ends by itself (sync.py) and whose cgroup and directory `delete --force` removes.
"""

import os

from runtime.oci import bundle, exec_fifo, hooks, init, namespaces, parent, state, sync
from runtime.oci.cgroups import group as cgroup
from runtime.oci.cgroups.mounting import in_user_namespace
from runtime.oci.errors import OCIError, describe
from runtime.oci.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CreateOptions:
    """The flags of create and run."""

    __slots__ = ("bundle", "console_fd", "console_socket", "no_new_keyring", "no_pivot", "pid_file", "preserve_fds")

    def __init__(self) -> None:
        self.bundle = ""
        self.pid_file = ""
        self.console_socket = ""
        self.console_fd = -1
        """A connected socket to send the terminal over, instead of the path of one."""
        self.no_pivot = False
        self.no_new_keyring = False
        self.preserve_fds = 0


def create(root: str, container_id: str, options: CreateOptions) -> state.Container:
    """Make a container whose init waits for `start`."""
    state.check_id(container_id)
    container = state.Container(root, container_id)
    container.bundle = os.path.realpath(options.bundle or ".")
    config = bundle.load(container.bundle)
    container.rootfs = config["root"]["path"]
    container.annotations = config.get("annotations", {})
    container.no_new_keyring = options.no_new_keyring
    check_terminal(config["process"], options)
    os.makedirs(root, mode=0o711, exist_ok=True)
    try:
        os.mkdir(container.directory, 0o711)  # the directory is the id: only one of two creates gets it
    except FileExistsError:
        raise OCIError(f'container with id "{container_id}" exists already') from None
    try:
        _create_in(container, config, options)
    except BaseException as error:
        container.remove_directory()
        if isinstance(error, (OCIError, OSError)):
            raise OCIError(f"unable to start container process: {describe(error)}") from None
        raise
    return container


def check_terminal(process: "dict[str, Any]", options: CreateOptions) -> None:
    """A terminal needs someone to hold its other end, and only then."""
    has_socket = bool(options.console_socket) or options.console_fd >= 0
    if process.get("terminal") and not has_socket:
        raise OCIError("cannot allocate tty if runtime will detach without setting console socket")
    if has_socket and not process.get("terminal"):
        raise OCIError("cannot use console socket if runtime will not detach or allocate tty")
    if process.get("terminal"):
        from runtime.oci import console

        if options.console_fd < 0:
            options.console_fd = console.connect(options.console_socket)


def _create_in(container: state.Container, config: "dict[str, Any]", options: CreateOptions) -> None:
    linux = config.get("linux", {})
    lenient = in_user_namespace() or os.geteuid() != 0
    plan = namespaces.plan(config)
    order = init.Order(config, plan, container.spec_state("creating"))
    order.console_fd = options.console_fd
    order.no_pivot = options.no_pivot
    order.preserve_fds = options.preserve_fds
    order.join_keyring = "" if options.no_new_keyring else f"_ses.{container.id}"
    uid, gid = owner_inside(linux)
    exec_fifo.make(container.fifo_path, uid, gid)
    order.fifo_fd = exec_fifo.hold(container.fifo_path)
    state.write_atomically(os.path.join(container.directory, state.CONFIG_FILE), config)
    group = cgroup.of_config(config, container.id)
    # saved three times: whenever we are killed, `delete --force` finds what there is by then, so cgroups come after
    container.cgroup_paths = group.paths
    container.created = state.timestamp_now()
    container.save()
    birth = parent.Birth()
    try:
        birth.fork(plan, linux.get("timeOffsets", {}), lambda channel: init.main(order, channel))
        group = parent.open_group(group, birth.intermediate_pid, log.warning, lenient=lenient)
        container.cgroup_paths = group.paths
        birth.enter_namespaces(plan, linux)
        container.pid = birth.pid
        container.start_time = state.process_start_time(container.pid)
        container.save()
        birth.set_limits(config["process"], log.warning, lenient=lenient)
        birth.channel.say(sync.SET_UP)
        birth.channel.hear(sync.RUN_HOOKS)
        _limit(group, linux.get("resources", {}), lenient=lenient)
        spec_state = container.spec_state("creating")
        hooks.run("prestart", config, spec_state)
        hooks.run("createRuntime", config, spec_state)
        birth.channel.say(sync.HOOKS_RAN)
        birth.channel.hear(sync.READY)
        container.ready = True
        container.save()
        if options.pid_file:
            parent.write_pid_file(options.pid_file, container.pid)
    except BaseException:
        birth.abandon()
        group.remove()
        raise
    finally:
        os.close(order.fifo_fd)
        if order.console_fd >= 0:
            os.close(order.console_fd)


def owner_inside(linux: "dict[str, Any]") -> tuple[int, int]:
    """Who root of the container is on the host: the FIFO is theirs to open."""
    if not linux.get("uidMappings"):
        return os.geteuid(), os.getegid()
    from runtime.oci import id_maps

    uid = id_maps.host_id(linux["uidMappings"], 0)
    gid = id_maps.host_id(linux.get("gidMappings", []), 0)
    return (uid, gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def _limit(group: cgroup.Group, resources: "dict[str, Any]", *, lenient: bool) -> None:
    if not group.paths:
        return
    try:
        group.limit(resources)
    except OCIError as error:
        if not lenient:
            raise
        log.warning(f"cgroup limits given up: {error}")
