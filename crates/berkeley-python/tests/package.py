#!/usr/bin/env python3
"""The package `berkeley`, as it is after `pip install`: its folder is on the path.

SWITCHBOARD is the program of the hub, for the tests that talk to one.
"""

import os
import pathlib
import signal
import socket as stock
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import berkeley as socket
from berkeley import hub, select, selectors

try:
    from test import test_selectors
except ImportError:
    print("skipped: the selector over io_uring: this interpreter has no tests")
    Contract = unittest.TestCase
else:
    # They look at classes of the module that they test.
    test_selectors.selectors = selectors
    Contract = test_selectors.BaseSelectorTestCase

TOUR = pathlib.Path(__file__).resolve().parent.parent / "tour"


class Same(unittest.TestCase):
    def test_it_has_every_name_of_the_modules_that_it_stands_for(self):
        import select as stock_select
        import selectors as stock_selectors

        for theirs, ours in ((stock, socket), (stock_select, select), (stock_selectors, selectors)):
            self.assertEqual(set(dir(theirs)) - set(dir(ours)), set())
        self.assertLessEqual(set(stock.__all__), set(socket.__all__))

    def test_nothing_of_the_interpreters_own_modules_is_changed(self):
        self.assertIsNot(socket.socket, stock.socket)
        self.assertEqual(stock.socket.__module__, "socket")
        self.assertEqual(socket.socket.__module__, "berkeley")
        self.assertIsNot(sys.modules["_socket"], sys.modules["berkeley._socket"])

    def test_numbers_are_shown_by_name(self):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            self.assertIs(s.family, socket.AF_INET6)
            self.assertEqual(s.type.name, "SOCK_DGRAM")

    def test_both_kinds_of_sockets_talk_to_each_other(self):
        with stock.create_server(("127.0.0.1", 0)) as listener:
            with socket.create_connection(listener.getsockname(), timeout=5) as client:
                server, _address = listener.accept()
                with server, client.makefile("rwb") as file:
                    server.sendall(b"a line\n")
                    self.assertEqual(file.readline(), b"a line\n")

    def test_a_file_is_sent_by_the_kernel(self):
        a, b = socket.socketpair()
        with a, b, open(__file__, "rb") as file:
            count = a.sendfile(file, count=100)
            file.seek(0)
            self.assertEqual((count, b.recv(200)), (100, file.read(100)))

    def test_a_socket_cannot_be_pickled(self):
        import pickle

        with socket.socket() as s, self.assertRaises(TypeError):
            pickle.dumps(s)


class Frames(unittest.TestCase):
    def setUp(self):
        self.a, self.b = socket.socketpair()
        self.addCleanup(self.a.close)
        self.addCleanup(self.b.close)

    def test_what_is_sent_is_received_and_an_end_is_none(self):
        for data in (b"", b"x", bytearray(b"abc"), memoryview(b"1234")[::1]):
            socket.send_frame(self.a, data)
            self.assertEqual(socket.recv_frame(self.b, 100), bytes(data))
        large = os.urandom(1 << 20)
        sender = threading.Thread(target=socket.send_frame, args=(self.a, large))
        sender.start()
        self.assertEqual(socket.recv_frame(self.b, 1 << 20), large)
        sender.join()
        self.a.close()
        self.assertIsNone(socket.recv_frame(self.b, 100))

    def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(self):
        for length in (b"\x0b\0\0\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80"):
            self.a.sendall(length + b"rest")
            with self.assertRaises(socket.FrameTooLong):
                socket.recv_frame(self.b, 10)
            self.assertEqual(self.b.recv(100), b"rest")

    def test_an_end_inside_a_frame_is_an_error(self):
        for sent in (b"\5", b"\5\0\0\0", b"\5\0\0\0four"):
            a, b = socket.socketpair()
            with a, b:
                a.sendall(sent)
                a.shutdown(socket.SHUT_WR)
                with self.assertRaises(EOFError):
                    socket.recv_frame(b, 100)

    def test_the_bytes_are_those_of_struct(self):
        import struct

        socket.send_frame(self.a, b"abc")
        self.assertEqual(self.b.recv(100), struct.pack("i", 3) + b"abc")


def has_io_uring():
    try:
        selectors.IoUringSelector().close()
    except OSError as error:
        print(f"skipped: io_uring: {error}")
        return False
    return True


@unittest.skipUnless(has_io_uring(), "no io_uring here")
class IoUring(Contract, unittest.TestCase):
    """The interpreter's own tests of selectors, on one that it does not have."""

    SELECTOR = selectors.IoUringSelector

    def test_a_signals_handler_can_end_a_wait(self):
        class Ended(Exception):
            pass

        def end(_number, _frame):
            raise Ended

        before = signal.signal(signal.SIGALRM, end)
        try:
            with selectors.IoUringSelector() as selector, self.assertRaises(Ended):
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                selector.select()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_a_limit_is_kept_also_when_signals_come(self):
        before = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
        try:
            with selectors.IoUringSelector() as selector:
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
                begun = time.monotonic()
                self.assertEqual(selector.select(0.3), [])
                self.assertGreaterEqual(time.monotonic() - begun, 0.3)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class Tour(unittest.TestCase):
    def start(self, *command):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, bufsize=1,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()

    def say(self, script, *words):
        command = [sys.executable, str(TOUR / script), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def test_the_echo_server_answers_its_clients(self):
        server = self.start(sys.executable, str(TOUR / "echo_server.py"))
        port = server.stdout.readline().strip()
        for text in ("one", "two"):
            self.assertEqual(self.say("echo_client.py", port, text), text + "\n")

    def test_a_hub_is_at_the_other_end(self):
        program = os.environ.get("SWITCHBOARD")
        if not program:
            self.skipTest("skipped: no hub here")
        with tempfile.TemporaryDirectory() as folder:
            nowhere = "127.0.0.1:0"
            started = self.start(
                program, "serve", "--data", folder, "--chat", nowhere, "--parcels", nowhere,
                "--time", nowhere,
            )
            ports = self.ports(started)
            member = hub.Chat("127.0.0.1", ports["chat"], name="alice")
            lines = iter(member)
            # Answered when she is in the room.
            member.say("/who")
            self.assertIn("alice", "\n".join(self.until(lines, "alice")))
            bob = self.start(
                sys.executable, str(TOUR / "chat.py"), "127.0.0.1", str(ports["chat"]), "bob"
            )
            bob.stdin.write("from bob\n")
            self.until(lines, "bob:from bob")
            member.say("to bob")
            self.until(bob.stdout, "alice:to bob")
            sent = pathlib.Path(folder, "cat.png")
            sent.write_bytes(os.urandom(100_000))
            self.say("parcels.py", "127.0.0.1", str(ports["parcels"]), "hello from the tour", f"@{sent}")
            self.until(lines, "hello from the tour")
            self.until(lines, "cat.png")
            kept = [path.read_bytes() for path in pathlib.Path(folder).rglob("*.png")]
            self.assertEqual(kept.count(sent.read_bytes()), 2)
            self.assertRegex(self.say("ask_time.py", "127.0.0.1", str(ports["time"]), "%Y"), r"^\d{4}\n$")
            member.close()
            started.terminate()
            started.wait(30)

    def until(self, lines, text):
        seen = []
        for line in lines:
            seen.append(line)
            if text in line:
                return seen
        self.fail(f"{text!r} did not come: {seen}")

    def ports(self, started):
        """Where its doors are: it says so before it says that it is ready."""
        found = {}
        for line in started.stdout:
            door, *place = line.split()
            if door == "ready":
                return found
            found[door] = int(place[-1].rpartition(":")[2]) if "//" in line else None
        self.fail(f"the hub did not start: {found}")


if __name__ == "__main__":
    unittest.main()
