"""A run that was measured in full and met everything: round figures, made up."""

from bench.memory import CHOSEN


def spread(median, off=0.1):
    return {"median": median, "low": median - off, "high": median + off, "n": 7, "best": median}


ENGINE = {
    "engine": "openvino int8",
    "how": "engine",
    "batch": 1,
    "ms": spread(16.0),
    "core_ms": 30.0,
}
PAGE = {"median": 20.0, "p95": 25.0, "queries": 8}
WAIT = {"n": 50, "p50_ms": 60.0, "p95_ms": 150.0, "p99_ms": 160.0, "longest_ms": 170.0}
MEMORY = {"web": {"rss": 120.0, "pss": 100.0}, "analyses": {"rss": 600.0, "pss": 500.0}}
PIPELINE = {
    "idle": WAIT,
    "load": {**WAIT, "offered_per_second": 40.0},
    "inference_ms": 16.0,
    "engine_alone": {"batch 1": spread(55.0), "batch 8": spread(60.0)},
    "sustained": spread(52.0),
    "sustained_over_engine": spread(0.87, 0.01),
    "cpu_ms": {
        "upload": {"web": 6.0, "analyses": 0.0, "database": 2.0},
        "analysis": {"web": 1.0, "analyses": 36.0, "database": 3.0},
    },
    "memory_mib": {"start": MEMORY, "end": MEMORY},
}
UPLOADS = {
    "clients": 4,
    "bulk": 1,
    "per_second": 250.0,
    "p50_ms": 15.0,
    "p99_ms": 40.0,
    "failed": {},
}
RESULTS = {
    "limits": {
        "rates": {"numpy fp32": spread(160e9)},
        "work": {"total": {"macs": 5_734_050_368, "weights": 18_544_064}},
        "floors": {
            "fp32": {
                "multiplying_ms": 36.0,
                "exported_ms": 33.0,
                "weights_batch_1_ms": 4.0,
                "weights_batch_32_ms": 0.1,
                "floor_ms": 33.0,
            }
        },
    },
    "engines": {
        "chosen": "openvino int8",
        "rows": [
            {**ENGINE, "times_faster": spread(11.0), "over_bare": spread(1.02, 0.01)},
            {"engine": "naive", "how": "prepare", "batch": 1, "ms": spread(1.0)},
        ],
        "start": {
            "naive": {"ready_seconds": 15.0, "memory_mib": {"rss": 1000.0, "pss": 900.0}},
        },
    },
    "preprocessing": {"224 x 224": {"decode": 1.0, "open + prepare": 3.0}},
    "case": {
        "fields": 100,
        "cells": 2000,
        "asked": {"the page": {**PAGE, "p95": 210.0, "cpu": 150.0, "kilobytes": 90.0}},
    },
    "memory": {
        "workers": {
            CHOSEN: {
                "ready_seconds": [2.5, 3.0],
                "alone_mib": {"rss": 400.0, "pss": 350.0},
                "together_mib": [{"rss": 400.0, "pss": 300.0}, {"rss": 400.0, "pss": 300.0}],
            }
        }
    },
    "pipeline embedded": PIPELINE,
    "pipeline hospital": PIPELINE,
    "intake": {"postgresql": [UPLOADS], "sqlite": [{**UPLOADS, "per_second": 120.0}]},
    "worklist": {
        "postgresql": {
            size: {"asked": {"one: first page": PAGE, "root: first page": {"queries": 99}}}
            for size in ("1000", "1000000")
        }
    },
    "scale_out": {
        "sleep_s": 0.02,
        "cores": 2,
        "runs": [
            {
                "workers": 2,
                "rate": 95.0,
                "share_of_ideal": 0.95,
                "database_cpu_ms": 2.5,
                "worker_cpu_ms": 4.0,
            }
        ],
    },
}
