"""Throughput of containers beside podman's: to the host, to a sibling, by a published port; of that one its latency and connect rate.

RCRUN_BENCH=network/through.py bench/in-tree TREE [ROUNDS] [only=WORDS]: TREE has iperf3, too; containers use the tree's by bind mounts. Medians of
both, and of the ratios of the rounds, in which they take turns. Three rounds take four minutes, five of `only=published` three.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from engines import Engines, image

NUMBERS = [int(word) for word in sys.argv[1:] if word.isdigit()]
ROUNDS = (*NUMBERS, 3)[0]
ONLY = next((word[5:] for word in sys.argv[1:] if word.startswith("only=")), "")
ENGINES = Engines("/dev/shm/rcrun-bench-through")
INSIDE = [word for folder in ("/usr", "/lib", "/lib64") for word in ("-v", f"{folder}:{folder}:ro")]
PORT = "5317"
TALK = Path(__file__).with_name("talk")  # bench/in-tree compiles it
HOST = "host.containers.internal"  # podman's pasta has the host's own address itself


def engine(name: str, *words: str) -> str:
    return ENGINES.run(name, *words, check=False)


def run(name: str, *words: str, options: tuple[str, ...] = ()) -> str:
    return engine(name, "run", *options, *INSIDE, image(name), *words)


def rate(text: str) -> float:
    found = re.findall(r"([\d.]+) Gbits/sec\s+receiver", text)
    return float(found[-1]) if found else 0.0


def client(address: str, port: str, *options: str) -> list[str]:
    return [
        "timeout",
        "20",
        "/usr/bin/iperf3",
        "-c",
        address,
        "-p",
        port,
        "-t",
        "2",
        "-f",
        "g",
        *options,
    ]


def to_host(network: str, *options: str) -> object:
    def measure(name: str) -> float:
        return rate(
            run(
                name,
                *client(HOST, PORT, *options),
                options=("--rm", "--network", network),
            )
        )

    return measure


def served(name: str, *options: str) -> None:
    run(name, "/usr/bin/iperf3", "-s", options=("-d", "--name", "server", *options))
    time.sleep(1)


def sibling(*options: str) -> object:
    def measure(name: str) -> float:
        served(name, "--network", "through")
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = engine(name, "inspect", "-f", form, "server").strip()
        found = rate(
            run(name, *client(address, "5201", *options), options=("--rm", "--network", "through"))
        )
        ENGINES.remove(name, "server")
        return found

    return measure


def said_by(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def published(network: str, *options: str) -> object:
    def measure(name: str) -> float:
        served(name, "--network", network, "-p", "127.0.0.1:5318:5201")
        found = rate(said_by(*client("127.0.0.1", "5318", *options)))
        ENGINES.remove(name, "server")
        return found

    return measure


def talk(kind: str, clients: int) -> object:
    """Connections a second, or the median of a byte's way there and back in microseconds."""

    def measure(name: str) -> float:
        where = ("--network", "through", "-p", "127.0.0.1:5318:80", "-v", f"{TALK}:/talk:ro")
        words = ("/talk", "serve", "0.0.0.0", "80")
        run(name, *words, options=("-d", "--name", "server", *where))
        time.sleep(0.5)
        text = said_by(str(TALK), kind, "127.0.0.1", "5318", "1", str(clients))
        ENGINES.remove(name, "server")
        number = re.search(r"([\d.]+) connections" if kind == "rate" else r"median ([\d.]+)", text)
        return float(number[1]) if number else 0.0

    return measure


WORK = {
    "a pasta of its own, to the host": to_host("pasta"),
    "a pasta of its own, from the host": to_host("pasta", "-R"),
    "a bridge, to the host": to_host("through"),
    "a bridge, from the host": to_host("through", "-R"),
    "to a sibling": sibling(),
    "from a sibling": sibling("-R"),
    "a published port of a bridge, in": published("through"),
    "a published port of a bridge, out": published("through", "-R"),
    "a published port of a bridge, connections/s, one at a time": talk("rate", 1),
    "a published port of a bridge, connections/s, eight at a time": talk("rate", 8),
    "a published port of a bridge, latency, us (less is better)": talk("latency", 1),
    "a published port of a pasta, in": published("pasta"),
    "a published port of a pasta, out": published("pasta", "-R"),
}


def main() -> None:
    ENGINES.prepare("through")
    with subprocess.Popen(["iperf3", "-s", "-p", PORT], stdout=subprocess.DEVNULL) as server:
        print(
            "| Gbit/s, where nothing else is said | rcrun | podman | ratio |\n| --- | --- | --- | --- |"
        )
        for work, measure in WORK.items():
            if ONLY not in work:
                continue
            rows = [[measure(name) for name in ENGINES] for _ in range(ROUNDS)]  # type: ignore[operator]
            ours, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
            ratio = statistics.median(a / (b or 0.01) for a, b in rows)
            print(f"| {work} | {ours:.2f} | {theirs:.2f} | **{ratio:.2f}** |", flush=True)
        server.kill()


if __name__ == "__main__":
    try:
        main()
    finally:
        ENGINES.clear("through")
