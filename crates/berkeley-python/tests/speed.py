#!/usr/bin/env python3
"""What calls cost on our modules beside the interpreter's own, measured by turns.

    speed.py FOLDER [--rounds N] [--only TEXT]

Each side is a process that stays; they are measured in slices of some milliseconds, by turns and
on one processor, so that what the machine does besides hits both, and who gets which processor
makes no difference. Printed are the medians in nanoseconds and their ratio.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

SLICE_SECONDS = 0.02


def works():
    """Name and function of everything that is measured; each does its work `count` times."""
    import socket
    import threading

    def pair():
        listener = socket.create_server(("127.0.0.1", 0))
        a = socket.create_connection(listener.getsockname())
        b, _address = listener.accept()
        listener.close()
        for each in (a, b):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return a, b

    a, b = pair()
    small = b"x" * 64
    large, room = b"x" * (1 << 20), bytearray(1 << 20)
    view = memoryview(room)
    u, w = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    d.bind(("127.0.0.1", 0))
    own = d.getsockname()
    listener = socket.create_server(("127.0.0.1", 0))
    where = listener.getsockname()
    c, e = socket.socketpair()

    def echo_large():
        while True:
            got = e.recv(1 << 20)
            if not got:
                return

    threading.Thread(target=echo_large, daemon=True).start()

    def send_recv(count):
        send, recv = a.send, b.recv
        for _ in range(count):
            send(small)
            recv(64)

    def send_recv_into(count):
        send, recv_into = a.sendall, b.recv_into
        for _ in range(count):
            send(small)
            recv_into(room)

    def limited(seconds):
        def work(count):
            a.settimeout(seconds)
            b.settimeout(seconds)
            try:
                send_recv(count)
            finally:
                a.settimeout(None)
                b.settimeout(None)

        return work

    def nothing_there(count):
        b.setblocking(False)
        recv = b.recv
        try:
            for _ in range(count):
                try:
                    recv(64)
                except BlockingIOError:
                    pass
        finally:
            b.setblocking(True)

    def datagrams(count):
        send, recv = u.send, w.recv
        for _ in range(count):
            send(small)
            recv(64)

    def addressed(count):
        sendto, recvfrom = d.sendto, d.recvfrom
        for _ in range(count):
            sendto(small, own)
            recvfrom(64)

    def mebibyte(count):
        for _ in range(count):
            c.sendall(large)

    def mebibyte_in_pieces(count):
        for _ in range(count):
            sent = got = 0
            while got < len(large):
                if sent < len(large):
                    sent += a.send(large[sent:sent + 65536])
                got += b.recv_into(view[got:])

    def connections(count):
        for _ in range(count):
            client = socket.create_connection(where)
            peer, _address = listener.accept()
            client.close()
            peer.close()

    def makes(count):
        for _ in range(count):
            socket.socket().close()

    return {
        "send, recv 64 bytes (TCP)": (send_recv, 500),
        "sendall, recv_into 64 bytes (TCP)": (send_recv_into, 500),
        "send, recv with a time limit": (limited(5), 500),
        "send, recv, non-blocking": (limited(0), 500),
        "recv, non-blocking, nothing there": (nothing_there, 800),
        "send, recv 64 bytes (Unix datagrams)": (datagrams, 800),
        "sendto, recvfrom 64 bytes (UDP)": (addressed, 500),
        "sendall 1 MiB to a thread": (mebibyte, 8),
        "1 MiB in pieces of 64 KiB": (mebibyte_in_pieces, 8),
        "connect, accept, close": (connections, 60),
        "socket(), close()": (makes, 800),
    }


def serve():
    """One side: does what it is told by lines, and answers with nanoseconds per piece of work."""
    import _socket

    todo = works()
    print(json.dumps([_socket.__file__, list(todo)]), flush=True)
    for line in sys.stdin:
        work, count = todo[json.loads(line)]
        begun = time.perf_counter_ns()
        done = 0
        while time.perf_counter_ns() - begun < SLICE_SECONDS * 1e9:
            work(count)
            done += count
        print((time.perf_counter_ns() - begun) / done, flush=True)


def start(folder):
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if folder:
        environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    file, names = json.loads(process.stdout.readline())
    assert (pathlib.Path(file).parent == folder) == bool(folder), file
    return process, names


def ask(process, name):
    process.stdin.write(json.dumps(name) + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main():
    if sys.argv[1:] == ["--serve"]:
        return serve()
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    # Children have it from here.
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    own, names = start(None)
    ours, _names = start(pathlib.Path(arguments.folder).resolve())
    print(f"{'nanoseconds, medians':40} {'its own':>10} {'ours':>10}  ratio  of the least")
    worst = 0.0
    for name in (name for name in names if arguments.only in name):
        times = ([], [])
        for round_ in range(arguments.rounds + 2):
            sides = [(own, 0), (ours, 1)]
            for process, side in sides[:: 1 if round_ % 2 else -1]:
                took = ask(process, name)
                # The first two warm up.
                if round_ > 1:
                    times[side].append(took)
        first, second = map(statistics.median, times)
        ratio = second / first
        worst = max(worst, ratio)
        # The least that was seen tells how much of the rest is the machine's.
        least = min(times[1]) / min(times[0])
        print(f"{name:40} {first:10.0f} {second:10.0f}  {ratio:.3f}  {least:.3f}")
    print(f"the worst ratio: {worst:.3f}")
    for process in (own, ours):
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
