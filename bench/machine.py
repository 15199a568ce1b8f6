"""What was measured on, and what the processes took of it."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VERSIONS = ("numpy", "opencv-python-headless", "tensorflow", "keras", "openvino", "django")
TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def facts() -> dict[str, Any]:
    """Processor, its instructions that matter here, cores, memory, versions."""
    cpu = _fields(Path("/proc/cpuinfo"))
    flags = set(cpu.get("flags", "").split())
    return {
        "processor": cpu.get("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "instructions": [name for name in TELLING if name in flags],
        "memory_gib": round(int(_fields(Path("/proc/meminfo"))["MemTotal"].split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def busy(seconds: float = 1.0) -> float:
    """How many cores were at work just now, whoever's: 0 on a quiet machine."""
    before = _jiffies()
    time.sleep(seconds)
    idle, every = (after - then for after, then in zip(_jiffies(), before, strict=True))
    return (1 - idle / every) * (os.cpu_count() or 1) if every else 0.0


def memory(pid: int) -> dict[str, float]:
    """MiB of a process: `rss`, and `pss`, in which what n processes share counts 1/n for each."""
    held = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return {name.lower(): int(held[name].split()[0]) / 1024 for name in ("Rss", "Pss")}


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, of all it started, and of those of them that have ended."""
    known = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(entry)):
            known[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    family, ticks = {pid}, 0
    for one, (parent, own) in sorted(known.items()):  # a child's number may wrap round; rare
        if one == pid or parent in family:
            family.add(one)
            ticks += own
    return ticks / os.sysconf("SC_CLK_TCK")


def parent(pid: int) -> int:
    """The process that started it."""
    return int(_stat(Path(f"/proc/{pid}"))[1])


def _jiffies() -> tuple[int, int]:
    """Idle and all processor time of the machine."""
    line = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    times = [int(part) for part in line]
    return times[3] + times[4], sum(times)


def _stat(entry: Path) -> list[str]:
    """/proc/PID/stat behind the program's name; [] when the process has ended meanwhile."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _fields(path: Path) -> dict[str, str]:
    """The first 'name: value' of every name."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
