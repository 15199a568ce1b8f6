"""What a picture costs in processor time, and where one database is the limit.

From measured figures alone: the processor time that each process took while pictures were uploaded
and while they were analysed, divided by their number. A process that takes 1 ms of a core for a
picture takes 1,000 core-seconds for a million of them.
"""

from collections.abc import Mapping
from typing import Any

PRICE = 0.04  # of a core for an hour, an example; what a rented core costs differs tenfold
PRUDENT = 0.7  # of a core: beyond it, waiting times of a single server grow steeply

SHARES = {
    "analyses": "analyses worker",
    "web": "web",
    "database": "database",
    "broker": "broker",
    "housekeeping": "housekeeping worker",
    "beat": "clock",
    "total": "all together",
}


def core_hours(milliseconds: float, pictures: int = 1_000_000) -> float:
    """Of so many pictures that take so much of a core each."""
    return milliseconds * pictures / 1000 / 3600


def costs(cpu_ms: Mapping[str, Mapping[str, float]], *, price: float = PRICE) -> dict[str, Any]:
    """What each process costs, and what one core of the database carries.

    Args:
        cpu_ms: {"upload": {process: core-milliseconds a picture}, "analysis": the same}.
        price: of a core-hour.

    Returns:
        shares: by process and for `total`: upload_ms, analysis_ms, core_hours and money a million.
        database_saturates: pictures a second at which one database core is full; None for SQLite,
            whose time is in the web's and the worker's.
        workers: how many cores of workers that keeps busy.
    """
    upload, analysis = cpu_ms["upload"], cpu_ms["analysis"]
    shares = {name: _share(upload[name], analysis[name], price) for name in upload}
    shares["total"] = _share(sum(upload.values()), sum(analysis.values()), price)
    database = upload.get("database", 0.0) + analysis.get("database", 0.0)
    saturates = 1000 / database if database else None
    return {
        "price": price,
        "shares": shares,
        "database_saturates": saturates,
        "prudent": saturates * PRUDENT if saturates else None,
        "workers": saturates * analysis["analyses"] / 1000 if saturates else None,
    }


def _share(upload: float, analysis: float, price: float) -> dict[str, float]:
    hours = core_hours(upload + analysis)
    return {
        "upload_ms": upload,
        "analysis_ms": analysis,
        "core_hours": hours,
        "money": hours * price,
    }


def sentence(cpu_ms: Mapping[str, Mapping[str, float]]) -> str:
    """The calculation in words, with its figures; '' without a database of its own."""
    found = costs(cpu_ms)
    if found["database_saturates"] is None:
        return ""
    shares = found["shares"]
    database, total = shares["database"], shares["total"]
    each = database["upload_ms"] + database["analysis_ms"]
    return (
        f"A picture takes {database['upload_ms']:.2f} ms of a database core when it is uploaded "
        f"and {database['analysis_ms']:.2f} ms when it is analysed, {each:.2f} ms together. So "
        f"one database core is full at 1000 / {each:.2f} = {found['database_saturates']:.0f} "
        f"pictures a second, and {PRUDENT:.0%} of that, {found['prudent']:.0f}, is what to plan "
        f"with: {found['prudent'] * 86400 / 1e6:.1f} million pictures a day. At "
        f"{found['database_saturates']:.0f} a second, {found['workers']:.0f} CPU cores of workers "
        f"are busy; beyond it, more workers wait for the database. A million pictures take "
        f"{total['core_hours']:.1f} core-hours in all, of which {database['core_hours']:.1f} the "
        f"database's: at {PRICE:.2f} a core-hour (an example; put your own price in), "
        f"{total['money']:.2f} a million."
    )
