"""The agent's machine loses power: no picture is lost, sent twice, or sent for another specimen."""

import pytest

from tests.drills import power

CUTS = 25


@pytest.mark.stack
@pytest.mark.django_db(transaction=True)
def test_cut_off_at_random_instants_it_loses_nothing(world, live_server, tmp_path, settings):
    settings.UPLOADS_PER_MINUTE = settings.MAX_QUEUED_ANALYSES = 10**6

    ledger = power.drill(
        url=live_server.url,
        key=world.key,
        accessions=power.register_specimens(world, 6),
        received=power.received_by_hospital,
        place=tmp_path,
        cuts=CUTS,
        seed=20261120,
    )

    assert ledger.clean, ledger
    assert ledger.taken == ledger.received > CUTS
    assert ledger.cuts_at_work > CUTS / 2
