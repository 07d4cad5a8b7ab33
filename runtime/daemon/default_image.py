"""The image that is there without a pull: built where it is missing, on the first start (hostbox.py says of what)."""

import asyncio
import logging
import os

from runtime.daemon import hostbox
from runtime.daemon.errors import NotFoundError
from runtime.daemon.image_import import BuiltImage, install_built
from runtime.daemon.image_install import Installer
from runtime.daemon.images import ImageStore
from runtime.daemon.references import DEFAULT_IMAGE
from runtime.daemon.spawn import ProgramError


class DefaultImage:
    """Built by the time that containerd answers, if it is going to be missed."""

    def __init__(self, data_root: str) -> None:
        """Begin to build it where there is no data of an earlier start; to be made before anything is put there."""
        self._building = None if os.path.isdir(data_root) else asyncio.ensure_future(_build())

    async def provide(self, images: ImageStore, installer: Installer) -> None:
        """Install it unless it is there."""
        try:
            await images.find(DEFAULT_IMAGE)
        except NotFoundError:
            built = await (self._building or _build())
            if built is not None:
                await install_built(installer, DEFAULT_IMAGE, built)

    def close(self) -> None:
        """Nobody needs it any more."""
        if self._building is not None:
            self._building.cancel()
            self._building = None  # the image is megabytes


async def _build() -> BuiltImage | None:
    try:
        return await hostbox.build()
    except (hostbox.NoUserlandError, ProgramError) as error:
        logging.getLogger("daemon").warning("no default image: %s", error)
        return None
