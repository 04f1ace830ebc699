#!/usr/bin/env python3
"""The package `berkeley`, as it is after `pip install`: its folder is on the path."""

import os
import signal
import socket as stock
import sys
import threading
import time
import unittest

import berkeley as socket
from berkeley import select, selectors

try:
    from test import test_selectors
except ImportError:
    print("skipped: the selector over io_uring: this interpreter has no tests")
    Contract = unittest.TestCase
else:
    # They look at classes of the module that they test.
    test_selectors.selectors = selectors
    Contract = test_selectors.BaseSelectorTestCase


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


if __name__ == "__main__":
    unittest.main()
