"""What this process counts of itself, for Prometheus. Names, labels and buckets are in one place.

Labels hold words of the product (a route's name, an engine, a stage): never an address, an
identifier or anything a person typed. What the rows know better than any process, the queue for
one, is read from the rows when somebody asks (`hospital.config.metrics`).
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS = Histogram(
    "leukolens_request_seconds",
    "Requests answered, by the name of their route.",
    ["route", "method", "status"],
    buckets=_SECONDS,
)
ANALYSES = Counter(
    "leukolens_analyses_total", "Runs finished by this worker.", ["engine", "outcome"]
)
STAGES = Histogram(
    "leukolens_stage_seconds",
    "How long a picture spent waiting (queued to claimed) and being read (claimed to stored).",
    ["stage"],
    buckets=_SECONDS,
)
SOCKETS = Gauge("leukolens_sockets", "Open screens that listen.", multiprocess_mode="livesum")
EVENT_LAG = Histogram(
    "leukolens_event_lag_seconds",
    "From an event's row to its message on a socket.",
    buckets=_SECONDS,
)
