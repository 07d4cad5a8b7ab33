"""`docker top`: the host's own `ps`, cut down to a container's processes (moby: daemon/top_unix.go)."""

import shutil

from runtime.daemon.errors import InvalidParameterError, ServerError
from runtime.daemon.spawn import ProgramError, run_program


async def top(pids: list[int], ps_args: str) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of `ps ARGS` for these processes. As in Docker the ids are the host's."""
    ps = shutil.which("ps")
    if ps is None:
        raise ServerError('exec: "ps": executable file not found in $PATH')
    try:
        output = await run_program([ps, *ps_args.split()])
    except ProgramError as error:
        # The first line says why; a page of usage follows it.
        raise ServerError(f"ps: {str(error).removeprefix(f'{ps}: ').splitlines()[0]}") from error
    lines = output.decode(errors="replace").splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidParameterError("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        # The last column is the command, which has spaces of its own.
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids:
            rows.append(fields)
    return titles, rows
