"""The channel layer: how processes reach each other's sockets, through Redis."""

import asyncio
from typing import Any

from channels_redis.core import RedisChannelLayer
from redis.exceptions import RedisError

from hospital.live.pusher import BROKER_SECONDS


class PatientLayer(RedisChannelLayer):  # type: ignore[misc]
    """One whose listeners outlive the broker: otherwise every socket would end with it.

    Their pages would come back at once, fetch everything anew, and lose the next socket as well.
    """

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next message for `channel`; a broker that is away or silent is waited for."""
        while True:
            try:
                message: dict[str, Any] = await super().receive(channel)
                return message
            except RedisError:  # who cannot join a group has said so already
                await asyncio.sleep(BROKER_SECONDS)
