"""The line protocol that every native contender of `./build.sh bench cpu` speaks: benches/cpu/contender.mjs has the other end."""

import json
import sys
import time

import numpy


def read_inputs(path, batch):
    """The first `batch` images of a file of f32 values, as [batch, 3, 224, 224]."""
    return numpy.fromfile(path, dtype="<f4").reshape(-1, 3, 224, 224)[:batch].copy()


def peak_memory():
    """The most memory this process has held, in bytes (VmHWM)."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM: peak memory needs Linux")


def serve(about, infer):
    """Answers requests until the input ends. `infer()` runs the network once and gives its output, [batch, length]."""

    def answer(value):
        print(json.dumps(value), flush=True)

    answer(about)
    for line in sys.stdin:
        match line.split():
            case ["features"]:
                answer(infer().ravel().tolist())
            case ["run", count]:
                times = []
                for _ in range(int(count)):
                    start = time.perf_counter()
                    infer()
                    times.append((time.perf_counter() - start) * 1e3)
                answer(times)
            case ["rss"]:
                answer(peak_memory())
            case _:
                sys.exit(f"unknown request {line!r}: there are features, run N, rss")
