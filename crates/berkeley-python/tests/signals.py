#!/usr/bin/env python3
"""Ctrl-C while a call waits, on our modules and on the interpreter's own.

    signals.py FOLDER
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve()
# What a child may take at most, and a call until it waits.
SECONDS_MAX, SLEEP_SECONDS_MAX = 120, 20
# What the interpreter's own lock sleeps in, which is no call on a socket.
LOCKS = {"x86_64": "202", "aarch64": "98"}


def waits(folder):
    """Name and function of each call, which waits for what never comes, with the time limit."""
    import array
    import select
    import selectors
    import socket

    made = []

    def keep(*sockets):
        made.extend(sockets)
        return sockets

    def pair(kind=socket.SOCK_STREAM):
        return keep(*socket.socketpair(socket.AF_UNIX, kind))

    def full(kind=socket.SOCK_STREAM):
        """One that nothing more can be sent by."""
        a, _b = pair(kind)
        a.setblocking(False)
        try:
            while True:
                a.send(bytes(1000))
        except BlockingIOError:
            a.setblocking(True)
            return a

    def crowded():
        """Where a listener has no more room, and connecting waits: SYNs are dropped."""
        (listener,) = keep(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            (client,) = keep(socket.socket())
            client.settimeout(0.5)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                return listener.getsockname()

    def crowded_by_path():
        path = os.path.join(folder, "crowded")
        listener, client = keep(socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        client.connect(path)
        return path

    def limited(sock, seconds):
        sock.settimeout(seconds)
        return sock

    where, path = crowded(), crowded_by_path()
    (listener,) = keep(socket.create_server(("127.0.0.1", 0)))
    a, _b = pair()
    d, _e = pair(socket.SOCK_DGRAM)
    room = bytearray(10)
    reading, writing, sending = full(), full(), full(socket.SOCK_DGRAM)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]

    def polled(seconds):
        poll = select.poll()
        poll.register(a, select.POLLIN)
        return poll.poll(None if seconds is None else seconds * 1000)

    def epolled(seconds):
        with select.epoll() as epoll:
            epoll.register(a, select.EPOLLIN)
            return epoll.poll(seconds)

    def selected(seconds):
        with selectors.DefaultSelector() as selector:
            selector.register(a, selectors.EVENT_READ)
            return selector.select(seconds)

    def file_sent(seconds):
        with open(HERE, "rb") as file:
            return limited(writing, seconds).sendfile(file)

    def line_read(_seconds):
        a.settimeout(None)
        with a.makefile("rb") as lines:
            return lines.readline()

    return {
        "accept": lambda s: limited(listener, s).accept(),
        "connect": lambda s: limited(keep(socket.socket())[0], s).connect(where),
        "connect_ex": lambda s: limited(keep(socket.socket())[0], s).connect_ex(where),
        "create_connection": lambda s: socket.create_connection(where, s),
        # With a limit the interpreter's own fails at once: what is different is told by the docs.
        "connect to a path": lambda _s: keep(socket.socket(socket.AF_UNIX))[0].connect(path),
        "recv": lambda s: limited(a, s).recv(10),
        "recv_into": lambda s: limited(a, s).recv_into(room),
        "recvfrom": lambda s: limited(d, s).recvfrom(10),
        "recvfrom_into": lambda s: limited(d, s).recvfrom_into(room),
        "recvmsg": lambda s: limited(a, s).recvmsg(10, 100),
        "recvmsg_into": lambda s: limited(a, s).recvmsg_into([room], 100),
        "recv_fds": lambda s: socket.recv_fds(limited(a, s), 10, 1),
        "readline": line_read,
        "send": lambda s: limited(reading, s).send(b"x"),
        "sendall": lambda s: limited(writing, s).sendall(bytes(1 << 22)),
        "send of a datagram": lambda s: limited(sending, s).send(b"x"),
        "sendmsg": lambda s: limited(sending, s).sendmsg([b"x"], rights),
        "sendfile": file_sent,
        "select": lambda s: select.select([a], [], [], s),
        "poll": polled,
        "epoll": epolled,
        "selector": selected,
    }


def wait_for_ever():
    """The child: does each call, and tells what became of it."""
    import _socket

    print(getattr(_socket, "__file__", "built in"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, call in waits(folder).items():
            for seconds in (None, 60):
                print(f"{name}, limit {seconds}", flush=True)
                try:
                    print("answered", call(seconds), flush=True)
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
                except OSError as error:
                    print("failed", error, flush=True)
    print("done", flush=True)


def look_up():
    """The child: looks a name up at a server that never answers, while another thread goes on."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        turns, is_done = [], threading.Event()

        def turn():
            while not is_done.wait(0.01):
                turns.append(1)

        threading.Thread(target=turn, daemon=True).start()
        print("begun", flush=True)
        begun = time.monotonic()
        try:
            try:
                socket.getaddrinfo("nobody.example", 80)
            except socket.gaierror as error:
                failed = error
            # The handler runs here at the latest.
            time.sleep(0)
            print("nothing but", failed, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        is_done.set()
        # The lock of the interpreter was free meanwhile, and the resolver asked to the end.
        print("others went on:", len(turns) > 10, time.monotonic() - begun > 0.9, flush=True)


class CtrlC(unittest.TestCase):
    def start(self, ours, *command):
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if ours:
            environment["PYTHONPATH"] = FOLDER
        process = subprocess.Popen(
            [*command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        watch = threading.Timer(SECONDS_MAX, process.kill)
        watch.start()
        self.addCleanup(self.end, process, watch)
        return process

    def end(self, process, watch):
        watch.cancel()
        process.kill()
        process.wait()
        process.stdout.close()

    def wait_until_it_sleeps(self, number, what):
        """In the kernel, and not for a lock, which is how it waits for the interpreter."""
        task, lock = pathlib.Path(f"/proc/{number}"), LOCKS.get(os.uname().machine)
        deadline, times = time.monotonic() + SLEEP_SECONDS_MAX, 0
        # Once could be on the way to where it shall sleep.
        while times < 3:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            try:
                called = (task / "syscall").read_text().split()[0]
            except OSError:
                called = ""
            times = times + 1 if state == "S" and called not in (lock, "running") else 0
            self.assertLess(time.monotonic(), deadline, f"{what}: it does not sleep")

    def outcomes(self, ours):
        process = self.start(ours, sys.executable, str(HERE), "--wait")
        self.assertEqual(FOLDER in process.stdout.readline(), ours)
        found = {}
        for line in process.stdout:
            name = line.strip()
            if name == "done":
                self.assertEqual(process.wait(SECONDS_MAX), 0)
                return found
            self.wait_until_it_sleeps(process.pid, name)
            process.send_signal(signal.SIGINT)
            found[name] = process.stdout.readline().strip()
        self.fail(f"the child ended after {found}")

    def test_it_interrupts_each_call_that_waits(self):
        found = self.outcomes(ours=True)
        self.assertEqual(set(found.values()), {"interrupted"}, found)
        self.assertEqual(found, self.outcomes(ours=False))

    def test_a_lookup_ends_as_on_the_interpreters_own(self):
        if not shutil.which("unshare"):
            self.skipTest("skipped: no unshare")
        with tempfile.TemporaryDirectory() as folder:
            servers = pathlib.Path(folder, "resolv.conf")
            servers.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
            script = (
                f"mount --bind {servers} /etc/resolv.conf && ip link set lo up && "
                f'exec "$0" "$@"'
            )
            space = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", script]
            if subprocess.run([*space, "true"], capture_output=True).returncode != 0:
                self.skipTest("skipped: no namespaces of our own, or no ip")
            said = [self.looked_up(space, ours) for ours in (True, False)]
        self.assertEqual(said[0], said[1])
        self.assertEqual(said[0], "interrupted\nothers went on: True True\n")

    def looked_up(self, space, ours):
        process = self.start(ours, *space, sys.executable, str(HERE), "--look-up")
        self.assertEqual(process.stdout.readline(), "begun\n")
        self.wait_until_it_sleeps(process.pid, "lookup")
        process.send_signal(signal.SIGINT)
        return process.stdout.read()


if __name__ == "__main__":
    if sys.argv[1:] == ["--wait"]:
        wait_for_ever()
    elif sys.argv[1:] == ["--look-up"]:
        look_up()
    else:
        FOLDER = str(pathlib.Path(sys.argv.pop(1)).resolve())
        # Where it is ignored, as in the background of a shell, children would have it so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
