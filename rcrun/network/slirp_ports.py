"""Becomes slirp4netns, and leaves a child that publishes the ports once it is ready; stands alone.

    slirp_ports.py READY_FD DIRECTORY REQUEST,… SLIRP4NETNS WORD…

slirp4netns takes ports only by its socket, which is made in DIRECTORY: by a relative path, which is never too
long for a socket. READY_FD gets its byte when all are published; a fault goes to
standard error and closes READY_FD without one.
"""

from __future__ import annotations

import os
import sys

SOCKET = "api"


def main(words: list[str]) -> None:
    ready = int(words[0])
    os.chdir(words[1])
    up_reader, up_writer = os.pipe()
    if os.fork() == 0:
        if os.fork() != 0:
            os._exit(0)
        os.close(up_writer)
        publish(up_reader, ready, words[2].split(","))
        os._exit(0)
    os.wait()
    os.close(ready)
    os.set_inheritable(up_writer, True)
    program, options = words[3], words[4:]
    own = [f"--ready-fd={up_writer}", f"--api-socket={SOCKET}"]
    os.execv(program, [program, *own, *options])


def publish(up: int, ready: int, requests: list[str]) -> None:
    if not os.read(up, 1):
        return  # it has said why
    for request in requests:
        fault = add(request)
        if fault:
            os.write(2, f"cannot publish {request}: {fault}\n".encode())
            return
    os.write(ready, b"1")


def add(request: str) -> str:
    """What slirp4netns has against it, or nothing."""
    import json
    import socket

    protocol, host_address, host_port, address, port = request.split("/")
    arguments = {
        "proto": protocol,
        "host_addr": host_address,
        "host_port": int(host_port),
        "guest_addr": address,
        "guest_port": int(port),
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(SOCKET)
        connection.sendall(json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile().read() or "{}")
    if "return" in answer:
        return ""
    return str((answer.get("error") or {}).get("desc") or "no answer")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[4]}: {(error.strerror or str(error)).lower()}")
