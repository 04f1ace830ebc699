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
    print("skipped: what every selector must hold: this interpreter has no tests")

    class Contract:
        pass
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

    def test_tls_runs_on_it(self):
        import ssl

        contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        contexts[1].check_hostname, contexts[1].verify_mode = False, ssl.CERT_NONE
        for context in contexts:
            # Without a certificate, which would have to be made first.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
        listener, got = socket.create_server(("127.0.0.1", 0)), []

        def serve():
            peer, _address = listener.accept()
            with contexts[0].wrap_socket(peer, server_side=True) as peer:
                got.append(peer.recv(100))
                peer.sendall(b"an answer")

        for how in (self.talk_by_a_socket, self.talk_by_memory):
            server = threading.Thread(target=serve)
            server.start()
            with socket.create_connection(listener.getsockname(), 20) as client:
                self.assertEqual(how(contexts[1], client), b"an answer")
            server.join()
        self.assertEqual(got, [b"a question"] * 2)
        listener.close()

    def talk_by_a_socket(self, context, client):
        """It has the connection from then on: `ssl` makes sockets of the interpreter's own."""
        with context.wrap_socket(client) as secret:
            secret.sendall(b"a question")
            return secret.recv(100)

    def talk_by_memory(self, context, client):
        """What is encrypted goes by our socket all the time."""
        import ssl

        comes, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        secret = context.wrap_bio(comes, goes)

        def until_done(call):
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    client.sendall(goes.read())
                    comes.write(client.recv(4096))

        until_done(secret.do_handshake)
        secret.write(b"a question")
        return until_done(lambda: secret.read(100))

    def test_asyncio_and_http_take_its_sockets(self):
        import asyncio
        import http.client

        listener = socket.create_server(("127.0.0.1", 0))

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
            writer.close()

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1")
            connection.sock = socket.create_connection(listener.getsockname(), 20)
            connection.request("GET", "/")
            try:
                return connection.getresponse().read()
            finally:
                connection.close()

        async def serve():
            server = await asyncio.start_server(answer, sock=listener)
            async with server:
                return await asyncio.to_thread(ask)

        self.assertEqual(asyncio.run(serve()), b"ok")

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
