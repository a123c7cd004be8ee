"""Identity of a process: a pid is unique only on its machine, and only together with the start time."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def identity(pid: int) -> dict[str, Any]:
    """Pid, start time and machine, which together are unique."""
    return {"pid": pid, "started": _start_time(pid), **_machine()}


def is_here(process: Mapping[str, Any]) -> bool:
    """Whether an `identity` belongs to this machine."""
    here = _machine()
    return {name: process.get(name) for name in here} == here


def lives(process: Mapping[str, Any]) -> bool:
    """Whether a process of this machine still runs, and its pid is not reused."""
    return _start_time(process["pid"]) == process.get("started")


def _machine() -> dict[str, str]:
    """Host, boot and pid namespace: pids are unique within them. Containers may share a host name."""
    return {
        "host": socket.gethostname(),
        "boot": _read(Path("/proc/sys/kernel/random/boot_id")),
        "space": str(Path("/proc/self/ns/pid").readlink()) if Path("/proc/self/ns/pid").exists() else "",
    }


def _read(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def _start_time(pid: int) -> str | None:
    """When the kernel started a process, in clock ticks since boot; None when it does not run (or is a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
