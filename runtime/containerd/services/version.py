"""Which containerd this is.

Real counterpart: containerd `services/version/service.go`.
"""

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import version_pb2
from runtime.containerd.server import Call

VERSION = "1.6.20+glassbottom"
"""The containerd whose behaviour was observed and is followed, and who follows it."""


class VersionService:
    """`ctr version`, first half."""

    descriptor = version_pb2.DESCRIPTOR.services_by_name["Version"]

    async def version(self, call: Call, request: Empty) -> version_pb2.VersionResponse:
        return version_pb2.VersionResponse(version=VERSION, revision="glassbottom")
