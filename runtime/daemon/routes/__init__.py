"""The Engine API by subject, one file for each (moby: api/server/router)."""

from runtime.daemon.engine import Engine
from runtime.daemon.router import Route
from runtime.daemon.routes import (
    archives,
    auth,
    containers,
    events,
    execs,
    image_transfer,
    images,
    lifecycle,
    networks,
    outside,
    plugins,
    stats,
    streams,
    system,
    volumes,
)


def all_routes(engine: Engine) -> list[Route]:
    """Every route, the frequent ones first; what is refused by name comes last."""
    subjects = (
        system,
        streams,
        lifecycle,
        containers,
        archives,
        stats,
        execs,
        events,
        images,
        image_transfer,
        auth,
        networks,
        volumes,
        plugins,
        outside,
    )
    return [route for subject in subjects for route in subject.routes(engine)]
