"""Promise: whose role is taken away is out at once, over real sockets between real processes."""

import asyncio
import subprocess
import sys

import pytest

from hospital.config.demo.screen import NotSignedIn, Screen
from tests.stack.harness import PATIENCE, ROOT

pytestmark = pytest.mark.stack

REVOKE = """
import django; django.setup()
from hospital.accounts.models import Membership
from hospital.accounts.services import revoke_role
from hospital.live import pusher
from tests.world import SETUP
revoke_role(actor=SETUP, membership=Membership.objects.get(user__username="technician"))
pusher.flush()
"""


def revoke(stack) -> None:
    """In a process of its own, as another web process would."""
    environment = {**stack.environment, "DJANGO_SETTINGS_MODULE": "hospital.config.settings"}
    environment["REDIS_URL"] = stack.note()["broker_url"]
    subprocess.run([sys.executable, "-c", REVOKE], cwd=ROOT, env=environment, check=True)


async def test_a_revoked_role_closes_the_session_and_the_open_socket(embedded):
    async with Screen(embedded.url) as screen:
        await screen.sign_in("technician", embedded.world["password"])
        assert (await screen.http.get("/api/v1/reports/")).status_code == 200
        messages = screen.messages()
        assert "hello" in await asyncio.wait_for(anext(messages), PATIENCE)
        await asyncio.to_thread(revoke, embedded)
        with pytest.raises(NotSignedIn, match="4403"):
            while True:
                await asyncio.wait_for(anext(messages), PATIENCE)
        assert (await screen.http.get("/api/v1/reports/")).status_code == 401
