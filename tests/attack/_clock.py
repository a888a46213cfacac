"""Processes whose clock is another: a library that they load adds what a file says."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

from pgiostat.lab.postgres.cluster import embedded_binaries
from tests.support.servers import matrix_binaries

__all__ = ["EMBEDDED_MAJOR", "SkewedClock", "binaries_of", "clock_library", "with_clock"]

EMBEDDED_MAJOR = 18
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static long long ahead(void)
{
    static volatile long long *seconds;
    if (!seconds) {
        const char *path = getenv("SKEWED_CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *mapped = file < 0 ? MAP_FAILED
            : mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED)
            abort();
        seconds = mapped;
    }
    return *seconds;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t id, struct timespec *at)
{
    REAL(clock_gettime);
    int failed = real(id, at);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    REAL(gettimeofday);
    int failed = real(at, zone);
    if (!failed)
        at->tv_sec += ahead();
    return failed;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
"""


class SkewedClock:
    """A clock that is ahead of the machine's by seconds which may change at any time."""

    def __init__(self, library: Path, place: Path) -> None:
        place.write_bytes(bytes(8))
        place.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), "SKEWED_CLOCK": str(place)}
        with place.open("r+b") as file:
            self._seconds = mmap.mmap(file.fileno(), 8)

    def set_ahead(self, seconds: int) -> None:
        """Set it, for all processes that go by it."""
        self._seconds[:] = struct.pack("=q", seconds)


def clock_library(scratch: Path) -> Path | None:
    """Return the library, None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = scratch / "clock.c", scratch / "clock.so"
    source.write_text(_SOURCE, "ascii")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    library.chmod(0o755)
    return library


def binaries_of(major: int) -> Path:
    """Return the binaries of a major version of PostgreSQL."""
    return embedded_binaries() if major == EMBEDDED_MAJOR else matrix_binaries(major)


def with_clock(binaries: Path, clock: SkewedClock, place: Path) -> Path:
    """Return a directory with the same binaries, of which postgres goes by a clock of its own."""
    place.mkdir()
    for each in binaries.iterdir():
        if each.name != "postgres":
            (place / each.name).symlink_to(each)
    assigned = " ".join(f"{name}='{value}'" for name, value in clock.environment.items())
    program = place / "postgres"
    program.write_text(f"#!/bin/sh\n{assigned} exec '{binaries / 'postgres'}' \"$@\"\n", "utf-8")
    program.chmod(0o755)
    return place
