#!/usr/bin/env python3
"""What our modules are beside the interpreter's own: the same names, numbers, answers and errors.

    own.py FOLDER
"""

import array
import ctypes
import errno
import gc
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

FOLDER = pathlib.Path(sys.argv.pop(1)).resolve()
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]


def load(name, path):
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, str(path), loader=loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def both(name):
    """The interpreter's own module, and ours."""
    import sysconfig

    file = pathlib.Path(sysconfig.get_path("stdlib"), "lib-dynload", name + SUFFIX)
    own = importlib.import_module(name) if name in sys.builtin_module_names else load(name, file)
    ours = load(name, FOLDER / (name + SUFFIX))
    assert own is not ours and ours.__file__ != getattr(own, "__file__", None)
    return own, ours


OWN, OURS = both("_socket")
OWN_SELECT, OURS_SELECT = both("select")


def outcome(call, module):
    """What a call answers or raises, comparable across the modules."""
    try:
        answer = call(module)
    except Exception as error:
        return type(error).__mro__[-4:-2] and type(error).__name__, str(error), error.args
    return "answer", answer


def bluetooth(m, protocol, address):
    """Binds a socket that is believed to be one of Bluetooth's."""
    a, b = m.socketpair()
    b.close()
    with_address = m.socket(m.AF_BLUETOOTH, m.SOCK_STREAM, protocol, a.detach())
    try:
        return with_address.bind(address)
    finally:
        with_address.close()


def make(m, *arguments):
    return m.socket(*arguments)


# Interpreters have these if they were built beside BlueZ's headers; what is built in has no file.
MAY_BE_MORE = set(
    """AF_BLUETOOTH BDADDR_ANY BDADDR_LOCAL BTPROTO_HCI BTPROTO_L2CAP BTPROTO_RFCOMM BTPROTO_SCO
    HCI_DATA_DIR HCI_FILTER HCI_TIME_STAMP SOL_HCI __file__""".split()
)


class Names(unittest.TestCase):
    def test_the_same_names_with_the_same_numbers(self):
        for own, ours in ((OWN, OURS), (OWN_SELECT, OURS_SELECT)):
            self.assertEqual(set(dir(own)) - set(dir(ours)), set())
            self.assertEqual(set(dir(ours)) - set(dir(own)) - MAY_BE_MORE, set())
            for name in dir(own):
                value = getattr(own, name)
                if isinstance(value, int):
                    self.assertEqual(value, getattr(ours, name), name)
                elif isinstance(value, str) and not name.startswith("__"):
                    self.assertEqual(value, getattr(ours, name), name)
                elif not name.startswith("__"):
                    self.assertIs(type(value), type(getattr(ours, name)), name)

    def test_the_same_attributes_of_each_type(self):
        pairs = [(OWN.socket, OURS.socket), (OWN_SELECT.epoll, OURS_SELECT.epoll)]
        pairs.append((type(OWN_SELECT.poll()), type(OURS_SELECT.poll())))
        for own, ours in pairs:
            self.assertEqual(set(dir(own)) | {"__module__"}, set(dir(ours)) | {"__module__"})
            self.assertEqual(own.__name__, ours.__name__)
            self.assertEqual(own.__module__, ours.__module__)

    def test_the_same_signatures_where_the_interpreters_own_has_them(self):
        pairs = [(OWN, OURS), (OWN.socket, OURS.socket), (OWN_SELECT, OURS_SELECT)]
        pairs.append((OWN_SELECT.epoll, OURS_SELECT.epoll))
        pairs.append((type(OWN_SELECT.poll()), type(OURS_SELECT.poll())))
        for own, ours in pairs:
            for name in dir(own):
                expected = getattr(getattr(own, name), "__text_signature__", None)
                got = getattr(getattr(ours, name), "__text_signature__", None)
                if own in (OWN, OWN.socket) and expected and not name.startswith("__"):
                    # What is given by its place only is called otherwise here and there.
                    expected, got = expected.count(","), got and got.count(",")
                self.assertEqual(expected, got, name)

    def test_the_types_cannot_be_changed(self):
        for kind in (OURS.socket, OURS_SELECT.epoll, type(OURS_SELECT.poll())):
            with self.assertRaisesRegex(TypeError, "immutable"):
                kind.foo = 1

    def test_exceptions_are_those_of_the_language(self):
        self.assertIs(OURS.error, OSError)
        self.assertIs(OURS.timeout, TimeoutError)
        self.assertIs(OURS_SELECT.error, OSError)
        self.assertEqual(OURS.gaierror.__module__, "socket")
        self.assertTrue(issubclass(OURS.herror, OSError))


class Layout(unittest.TestCase):
    def test_fields_lie_where_ssl_reads_them(self):
        for module in (OWN, OURS):
            s = module.socket(module.AF_INET6, module.SOCK_DGRAM, module.IPPROTO_UDP)
            s.settimeout(1.5)
            ints = (ctypes.c_int * 4).from_address(id(s) + 16)
            self.assertEqual(
                list(ints),
                [s.fileno(), module.AF_INET6, module.SOCK_DGRAM, module.IPPROTO_UDP],
            )
            self.assertEqual(ctypes.c_int64.from_address(id(s) + 40).value, 1_500_000_000)
            s.settimeout(None)
            self.assertLess(ctypes.c_int64.from_address(id(s) + 40).value, 0)
            s.close()
            self.assertEqual(ctypes.c_int.from_address(id(s) + 16).value, -1)

    def test_the_capsule_has_the_type_and_the_errors(self):
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        api = (ctypes.c_void_p * 3).from_address(get(OURS.CAPI, b"_socket.CAPI"))
        self.assertEqual(list(api), [id(OURS.socket), id(OSError), id(TimeoutError)])


# Each is called with the interpreter's own module and with ours: the answers, the exceptions and
# their words have to be the same.
SAME = [
    lambda m: m.inet_aton("127.1"),
    lambda m: m.inet_aton("1.2.3.4.5"),
    lambda m: m.inet_aton(5),
    lambda m: m.inet_ntoa(b"\1\2\3\4"),
    lambda m: m.inet_ntoa(b"\1\2\3"),
    lambda m: m.inet_ntoa("abcd"),
    lambda m: m.inet_pton(m.AF_INET6, "::1"),
    lambda m: m.inet_pton(m.AF_INET6, "::ffff:1.2.3.4"),
    lambda m: m.inet_pton(m.AF_INET, "::1"),
    lambda m: m.inet_pton(m.AF_UNIX, "x"),
    lambda m: m.inet_ntop(m.AF_INET6, bytes(15) + b"\1"),
    lambda m: m.inet_ntop(m.AF_INET6, bytes(12) + b"\1\2\3\4"),
    lambda m: m.inet_ntop(m.AF_INET6, bytes(10) + b"\xff\xff\1\2\3\4"),
    lambda m: m.inet_ntop(m.AF_INET, b"123"),
    lambda m: m.inet_ntop(99, b"1234"),
    lambda m: m.htons(1),
    lambda m: m.htonl(0xFFFFFFFF),
    lambda m: m.htonl("1"),
    lambda m: type(outcome(lambda m: m.htons(-1), m)).__name__,
    lambda m: m.CMSG_LEN(4),
    lambda m: m.CMSG_SPACE(5),
    lambda m: m.CMSG_LEN(-1),
    lambda m: m.CMSG_SPACE(1 << 40),
    lambda m: m.getservbyname("http", "tcp"),
    lambda m: m.getservbyname("no such service"),
    lambda m: m.getservbyport(25),
    lambda m: m.getservbyport(70000),
    lambda m: m.getprotobyname("tcp"),
    lambda m: m.getprotobyname("no such protocol"),
    lambda m: m.gethostbyname("127.0.0.1"),
    lambda m: m.gethostbyname(""),
    lambda m: m.gethostbyname("<broadcast>"),
    lambda m: m.gethostbyname("localhost"),
    lambda m: m.gethostbyname_ex("127.0.0.1"),
    lambda m: m.gethostbyaddr("127.0.0.1"),
    lambda m: m.gethostname(),
    lambda m: m.getaddrinfo("127.0.0.1", 80),
    lambda m: m.getaddrinfo("::1", "http", 0, m.SOCK_STREAM),
    lambda m: m.getaddrinfo(None, 80, flags=m.AI_PASSIVE),
    lambda m: m.getaddrinfo(b"127.0.0.1", b"80", type=m.SOCK_DGRAM),
    lambda m: m.getaddrinfo("127.0.0.1", 1.5),
    lambda m: m.getaddrinfo("127.0.0.1", True),
    lambda m: m.getaddrinfo("127.0.0.1", -1),
    lambda m: m.getaddrinfo("127.0.0.1", 1 << 70),
    lambda m: m.getaddrinfo("127.0.0.1", 70000),
    lambda m: m.getaddrinfo("no such host.invalid.", 80, flags=m.AI_NUMERICHOST),
    lambda m: m.getnameinfo(("127.0.0.1", 80), m.NI_NUMERICHOST | m.NI_NUMERICSERV),
    lambda m: m.getnameinfo(("::1", 80, 0, 0), m.NI_NUMERICHOST),
    lambda m: m.getnameinfo(("127.0.0.1", 80, 0), 0),
    lambda m: m.getnameinfo("127.0.0.1", 0),
    lambda m: m.getnameinfo(("::1", 1, 0x100000), 0),
    lambda m: m.if_nameindex(),
    lambda m: m.if_nametoindex("lo"),
    lambda m: m.if_nametoindex("nosuchinterface"),
    lambda m: m.if_indextoname(1),
    lambda m: m.if_indextoname(999999),
    lambda m: m.close(-1),
    lambda m: m.close(99999),
    lambda m: m.dup(99999),
    lambda m: m.socket(99),
    lambda m: m.socket(m.AF_INET, 77),
    lambda m: m.socket(m.AF_INET, m.SOCK_STREAM, 300),
    lambda m: m.socket(fileno=-1),
    lambda m: m.socket(fileno=99999),
    lambda m: m.socket(fileno=1.5),
    lambda m: m.socket(fileno="x"),
    lambda m: m.socket("x"),
    lambda m: m.socketpair(m.AF_INET),
    lambda m: make(m).bind("x"),
    lambda m: make(m).bind(("127.0.0.1",)),
    lambda m: make(m).bind(("127.0.0.1", 70000)),
    lambda m: make(m).bind(("127.0.0.1", 1 << 70)),
    lambda m: make(m).bind(("127.0.0.1", "x")),
    lambda m: make(m).bind(("a\0b", 0)),
    lambda m: make(m).bind((5, 0)),
    lambda m: make(m).bind(("192.0.2.1", 0)),
    lambda m: make(m).bind(("no such host.invalid.", 0)),
    lambda m: make(m, m.AF_INET6).bind(("::1", 0, 1 << 20)),
    lambda m: make(m, m.AF_INET6).bind(("::1", 0, 0, 0, 0)),
    lambda m: make(m, m.AF_UNIX).bind("x" * 108),
    lambda m: make(m, m.AF_UNIX).bind("\0" + "x" * 108),
    lambda m: make(m, m.AF_UNIX).bind(5),
    lambda m: make(m, m.AF_UNIX).connect("/no/such/path"),
    lambda m: make(m, m.AF_UNIX).connect_ex("/no/such/path"),
    lambda m: make(m, m.AF_NETLINK, m.SOCK_RAW).bind((0,)),
    lambda m: make(m, m.AF_NETLINK, m.SOCK_RAW).bind("x"),
    lambda m: make(m).connect(("127.0.0.1", 1)),
    lambda m: make(m).connect_ex(("127.0.0.1", 1)),
    lambda m: make(m).recv(-1),
    lambda m: make(m).recv("x"),
    lambda m: make(m).recv(10),
    lambda m: make(m).recv(0),
    lambda m: make(m).recv_into(b"x"),
    lambda m: make(m).recv_into(bytearray(5), -1),
    lambda m: make(m).recv_into(bytearray(5), 6),
    lambda m: make(m).recv_into(bytearray(0)),
    lambda m: make(m).recvfrom_into(bytearray(5), 6),
    lambda m: make(m).recvmsg(-1),
    lambda m: make(m).recvmsg(1, -1),
    lambda m: make(m).send("x"),
    lambda m: make(m).send(b"x"),
    lambda m: make(m).sendall(5),
    lambda m: make(m).sendto(b"x"),
    lambda m: make(m).sendto(b"x", 0, ("127.0.0.1", 1), 4),
    lambda m: make(m, m.AF_INET, m.SOCK_DGRAM).sendto(b"x", None),
    lambda m: make(m, m.AF_INET, m.SOCK_DGRAM).sendto("x", ("127.0.0.1", 9)),
    lambda m: make(m, m.AF_INET, m.SOCK_DGRAM).sendto(b"x" * 70000, ("127.0.0.1", 9)),
    lambda m: make(m).sendmsg(5),
    lambda m: make(m).sendmsg([5]),
    lambda m: make(m).sendmsg([b"x"], 5),
    lambda m: make(m).sendmsg_afalg(op=1),
    lambda m: make(m).settimeout(-1),
    lambda m: make(m).settimeout(float("nan")),
    lambda m: make(m).settimeout("x"),
    lambda m: make(m).settimeout(1e300) and None,
    lambda m: make(m).gettimeout(),
    lambda m: (lambda s: (s.settimeout(1e-10), s.gettimeout(), s.getblocking()))(make(m)),
    lambda m: (lambda s: (s.settimeout(0), s.gettimeout(), s.getblocking(), s.timeout))(make(m)),
    lambda m: (lambda s: (s.setblocking(False), s.timeout))(make(m)),
    lambda m: make(m, m.AF_INET, m.SOCK_STREAM | m.SOCK_NONBLOCK).gettimeout(),
    lambda m: make(m, m.AF_INET, m.SOCK_STREAM | m.SOCK_NONBLOCK).type,
    lambda m: make(m).getsockopt(m.SOL_SOCKET, m.SO_TYPE),
    lambda m: make(m).getsockopt(m.SOL_SOCKET, m.SO_TYPE, 2),
    lambda m: make(m).getsockopt(m.SOL_SOCKET, m.SO_TYPE, -1),
    lambda m: make(m).getsockopt(m.SOL_SOCKET, m.SO_TYPE, 1025),
    lambda m: make(m).getsockopt(m.SOL_SOCKET, 9999),
    lambda m: make(m).setsockopt(m.SOL_SOCKET, m.SO_REUSEADDR, b"\1\0\0\0"),
    lambda m: make(m).setsockopt(m.SOL_SOCKET, m.SO_REUSEADDR, True),
    lambda m: make(m).setsockopt(m.SOL_SOCKET, m.SO_REUSEADDR, "x"),
    lambda m: make(m).setsockopt(m.SOL_SOCKET, m.SO_REUSEADDR, None, 4),
    lambda m: make(m).getpeername(),
    lambda m: make(m).getsockname(),
    lambda m: make(m, m.AF_UNIX).getsockname(),
    lambda m: make(m, m.AF_INET6).getsockname(),
    lambda m: make(m).shutdown(m.SHUT_RDWR),
    lambda m: make(m).shutdown("x"),
    lambda m: make(m, m.AF_INET, m.SOCK_DGRAM).listen(),
    lambda m: make(m).listen("x"),
    lambda m: (lambda s: (s.close(), s.recv(1)))(make(m)),
    lambda m: (lambda s: (s.close(), s.fileno(), repr(s)))(make(m)),
    lambda m: (lambda s: (s.close(), s.connect_ex(("127.0.0.1", 1))))(make(m)),
    lambda m: (lambda s: (s.close(), s.close()))(make(m)),
    lambda m: m.setdefaulttimeout(-1),
    lambda m: m.getdefaulttimeout(),
    lambda m: m.socket.__new__(m.socket).fileno(),
    lambda m: m.socket.__new__(m.socket).recv(1),
    lambda m: make(m)._accept(),
]

DEVICE = "01:23:45:67:89:ab"

# Where the interpreter has them; the kernel need not, for what is read is read before it is asked.
SAME_BLUETOOTH = [
    lambda m: (m.BDADDR_ANY, m.BDADDR_LOCAL),
    *(
        lambda m, protocol=protocol, address=address: bluetooth(m, protocol, address)
        for protocol in (0, 1, 2, 3, 7)
        for address in (
            (DEVICE, 1), (DEVICE, "x"), (DEVICE,), ("01:23", 1), (DEVICE[:-1] + "x", 1), (1, 1),
            (0,), ("x",), (), DEVICE, DEVICE.encode(), b"x", b"\xff", 7, None,
        )
    ),
]

SAME_SELECT = [
    lambda m: m.select([], [], [], 0),
    lambda m: m.select(1, [], []),
    lambda m: m.select([], [], [], -1),
    lambda m: m.select([], [], [], "x"),
    lambda m: m.select([object()], [], []),
    lambda m: m.select([2000], [], [], 0),
    lambda m: m.select([-1], [], [], 0),
    lambda m: m.select([99], [], [], 0),
    lambda m: m.poll().register("x"),
    lambda m: m.poll().register(0, -1),
    lambda m: m.poll().unregister(999),
    lambda m: m.poll().modify(0, 1),
    lambda m: m.poll().poll("x"),
    lambda m: m.poll().poll(1 << 40),
    lambda m: m.poll().poll(0),
    lambda m: type(m.poll())(),
    lambda m: m.epoll(-2),
    lambda m: m.epoll(flags=12356),
    lambda m: m.epoll("x"),
    lambda m: m.epoll().register(99999),
    lambda m: m.epoll().register(-1),
    lambda m: m.epoll().unregister(0),
    lambda m: m.epoll().poll(0),
    lambda m: m.epoll().poll(0, 0),
    lambda m: m.epoll().poll("x"),
    lambda m: (lambda e: (e.close(), e.closed, e.fileno()))(m.epoll()),
]


class Same(unittest.TestCase):
    # Words that differ between the interpreter's versions, or that tell of C.
    ONLY_TYPES = {
        "TypeError",
        "OverflowError",
    }

    def compare(self, calls, own, ours):
        for call in calls:
            line = f"line {call.__code__.co_firstlineno}"
            with self.subTest(line):
                expected, got = outcome(call, own), outcome(call, ours)
                if expected[0] in self.ONLY_TYPES:
                    expected, got = expected[0], got[0]
                self.assertEqual(expected, got)

    def test_calls_answer_and_raise_the_same(self):
        self.compare(SAME, OWN, OURS)

    def test_addresses_of_bluetooth_are_read_the_same(self):
        if not hasattr(OWN, "AF_BLUETOOTH"):
            self.skipTest("skipped: this interpreter has no Bluetooth to compare with")
        self.compare(SAME_BLUETOOTH, OWN, OURS)

    def test_those_of_select_do_too(self):
        self.compare(SAME_SELECT, OWN_SELECT, OURS_SELECT)

    def test_auditing_hooks_are_told_the_same(self):
        program = """
import os, re, sys, socket
events = []
def hook(event, args):
    if event.startswith("socket.") and on:
        shown = [repr(a) if not hasattr(a, "fileno") else type(a).__mro__[-2:] for a in args]
        # Ports and names that the system made up.
        events.append((event, [re.sub(r"\\d{4,}", "N", str(each)) for each in shown]))
    if event == "socket.sethostname": raise RuntimeError
on = False
sys.addaudithook(hook)
on = True
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0)); a = ("127.0.0.1", 9)
s.sendto(b"x", a); s.sendto(b"x", 0, a); s.sendmsg([b"x"], [], 0, a)
s.connect(a); s.connect_ex(a); s.sendmsg([b"x"]); s.dup().close()
u = socket.socket(socket.AF_UNIX); u.bind("\\0audited-%d" % os.getpid()); u.listen()
c = socket.socket(socket.AF_UNIX); c.connect(u.getsockname()); u.accept()
socket.socketpair(); socket.socket(fileno=c.detach())
l = socket.create_server(("127.0.0.1", 0)); socket.create_connection(l.getsockname())
socket.getaddrinfo("127.0.0.1", 80); socket.getaddrinfo(host=b"::1", port="80", type=1, flags=4)
socket.getnameinfo(a, 3); socket.gethostname(); socket.getfqdn("127.0.0.1")
socket.gethostbyname("127.0.0.1"); socket.gethostbyaddr("127.0.0.1")
socket.gethostbyname_ex("127.0.0.1"); socket.gethostbyname(b"127.0.0.1")
socket.getservbyname("http"); socket.getservbyname("http", "tcp")
socket.getservbyport(80); socket.getservbyport(80, "tcp"); socket.getprotobyname("tcp")
for refused in (
    lambda: socket.socket(99), lambda: socket.socket(socket.AF_INET6), lambda: s.bind("x"),
    lambda: s.connect(5), lambda: s.sendto(b"x", 5),
    lambda: socket.getaddrinfo(5, 80), lambda: socket.gethostbyname(5),
    lambda: socket.getservbyname("no such"), lambda: socket.getservbyport(70000),
    # The hook forbids it: the name stays what it is.
    lambda: socket.sethostname("forbidden"), lambda: socket.sethostname(b"forbidden"),
):
    try: refused()
    except Exception as error: events.append(type(error).__name__)
on = False
print(events)
"""
        own, ours = self.said(program, ours=False), self.said(program, ours=True)
        self.assertEqual(own.split("), ("), ours.split("), ("))
        names = set(re.findall(r"'(socket\.[\w.]+)'", ours))
        self.assertEqual(len(names), 13, names)

    def test_a_hook_can_forbid_a_socket(self):
        program = """
import sys, socket
def hook(event, args):
    if event == "socket.__new__": raise RuntimeError("no")
sys.addaudithook(hook)
try: socket.socket()
except RuntimeError as error: print(error)
"""
        self.assertEqual(self.said(program, ours=True), "no\n")

    def said(self, program, ours):
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if ours:
            environment["PYTHONPATH"] = str(FOLDER)
        command = [sys.executable, "-W", "ignore", "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout


class Lives(unittest.TestCase):
    """What is ours beyond: closing while other threads use a socket, forks, interpreters."""

    def test_a_number_is_not_reused_under_a_call(self):
        a, b = OURS.socketpair()
        fd = a.fileno()
        got = []
        thread = threading.Thread(target=lambda: got.append(outcome(lambda _m: a.recv(1), None)))
        thread.start()
        self.wait_until_it_sleeps(thread)
        a.close()
        self.assertEqual(a.fileno(), -1)
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
        self.assertNotIn(fd, files)
        b.send(b"x")
        thread.join()
        self.assertEqual(got, [("answer", b"x")])
        last = os.dup(files[0])
        files.append(last)
        self.assertEqual(last, fd, "the number is free when the call is back")
        for each in files:
            os.close(each)
        b.close()

    def wait_until_it_sleeps(self, thread):
        """In the kernel, and not for a lock, which is how it waits for the interpreter."""
        task = pathlib.Path(f"/proc/self/task/{thread.native_id}")
        locks = {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine)
        deadline, times = time.monotonic() + 10, 0
        # Once could be on the way to where it shall sleep.
        while times < 3:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            try:
                called = (task / "syscall").read_text().split()[0]
            except OSError:
                called = ""
            times = times + 1 if state == "S" and called not in (locks, "running") else 0
            self.assertLess(time.monotonic(), deadline, "it does not sleep")

    def test_a_descriptor_that_is_given_away_stays_open_for_the_call(self):
        a, b = OURS.socketpair()
        got = []
        thread = threading.Thread(target=lambda: got.append(a.recv(1)))
        thread.start()
        self.wait_until_it_sleeps(thread)
        fd = a.detach()
        b.send(b"x")
        thread.join()
        self.assertEqual(got, [b"x"])
        os.fstat(fd)
        os.close(fd)
        b.close()

    def test_a_socket_that_was_closed_by_its_number_says_so(self):
        s = OURS.socket()
        os.close(s.fileno())
        with self.assertRaises(OSError) as caught:
            s.close()
        self.assertEqual(caught.exception.errno, errno.EBADF)
        self.assertEqual(s.fileno(), -1)

    def test_a_leaked_socket_warns_and_is_closed(self):
        import warnings

        s = OURS.socket()
        fd = s.fileno()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del s
            gc.collect()
        self.assertEqual(len(caught), 1)
        self.assertIs(caught[0].category, ResourceWarning)
        self.assertRegex(str(caught[0].message), r"unclosed <socket object, fd=\d+")
        with self.assertRaises(OSError):
            os.fstat(fd)

    def test_it_can_be_a_base(self):
        import weakref

        class Named(OURS.socket):
            kinds = []

            def __init__(self, name, *arguments):
                super().__init__(*arguments)
                self.name = name

            def recv(self, size, *flags):
                return super().recv(size, *flags) + self.name

            def __del__(self):
                self.kinds.append(type(self))
                super().__del__()

        s, (a, b) = Named(b"!", OURS.AF_UNIX), OURS.socketpair()
        self.assertTrue(isinstance(s, OURS.socket) and issubclass(Named, OURS.SocketType))
        s.close()
        s = Named(b"!", -1, -1, -1, a.detach())
        b.send(b"x")
        self.assertEqual((s.recv(1), s.family), (b"x!", OURS.AF_UNIX))
        self.assertRegex(repr(s), r"^<socket object, fd=\d+, family=1, type=1, proto=0>$")
        s.itself, gone = s, weakref.ref(s)
        s.close()
        b.close()
        del s
        gc.collect()
        self.assertEqual((gone(), Named.kinds), (None, [Named, Named]))

    def test_a_limited_connect_by_path_waits_while_the_listener_is_full(self):
        listener, first, second = (OURS.socket(OURS.AF_UNIX) for _ in range(3))
        listener.bind("")
        listener.listen(0)
        first.connect(listener.getsockname())
        second.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            second.connect(listener.getsockname())
        second.settimeout(60)
        thread = threading.Thread(target=second.connect, args=(listener.getsockname(),))
        thread.start()
        self.wait_until_it_sleeps(thread)
        os.close(listener._accept()[0])
        thread.join()
        for each in (listener, first, second):
            each.close()

    def test_descriptors_that_come_are_closed_on_exec(self):
        a, b = OURS.socketpair()
        rights = array.array("i", [a.fileno()])
        a.sendmsg([b"x"], [(OURS.SOL_SOCKET, OURS.SCM_RIGHTS, rights)])
        [(_level, _kind, raw)] = b.recvmsg(1, OURS.CMSG_SPACE(4))[1]
        (came,) = array.array("i", raw)
        self.assertFalse(os.get_inheritable(came))
        os.close(came)
        a.close()
        b.close()

    def test_a_signal_ends_sending_when_its_handler_raises(self):
        class Ended(Exception):
            pass

        def end(_number, _frame):
            raise Ended

        before = signal.signal(signal.SIGALRM, end)
        try:
            a, b = OURS.socketpair()
            data = bytes(16 << 20)
            for seconds in (None, 20):
                a.settimeout(seconds)
                # Again and again, for the first may come before the call has begun.
                with self.assertRaises(Ended):
                    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                    a.sendall(data)
                signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_received_descriptors_are_closed_if_the_call_fails_later(self):
        a, b = OURS.socketpair()
        r, w = os.pipe()
        a.sendmsg([b"x"], [(OURS.SOL_SOCKET, OURS.SCM_RIGHTS, array.array("i", [w]))])
        os.close(w)
        data, control, flags, _address = b.recvmsg(1, OURS.CMSG_SPACE(4))
        self.assertEqual((data, flags), (b"x", 0))
        [(level, kind, raw)] = control
        self.assertEqual((level, kind), (OURS.SOL_SOCKET, OURS.SCM_RIGHTS))
        [fd] = array.array("i", raw)
        os.write(fd, b"y")
        self.assertEqual(os.read(r, 1), b"y")
        for each in (fd, r):
            os.close(each)
        a.close()
        b.close()

    def test_each_interpreter_has_modules_of_its_own(self):
        program = f"""
import runpy, sys
sys.path.insert(0, {str(FOLDER)!r})
runpy.run_path({str(FOLDER / "sitecustomize.py")!r})
import _socket, socket, select, ssl
assert _socket.__file__.startswith({str(FOLDER)!r})
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"
socket.setdefaulttimeout(5)
s = socket.socket(); assert s.gettimeout() == 5; s.close()
p = select.poll(); p.register(a); assert p.poll(0)
a.close(); b.close()
"""
        # As test.support does it, which needs a module for tests that may not be there.
        try:
            import _testcapi

            run = _testcapi.run_in_subinterp
        except ImportError:
            self.skipTest("skipped: no _testcapi")
        for _round in range(3):
            self.assertEqual(run(program), 0)
        if sys.version_info[:2] == (3, 12):
            # With a lock of its own.
            config = dict(
                use_main_obmalloc=False, allow_fork=False, allow_exec=False, allow_threads=True,
                allow_daemon_threads=False, check_multi_interp_extensions=True, gil=2,
            )
            self.assertEqual(_testcapi.run_in_subinterp_with_config(program, **config), 0)
        if sys.version_info >= (3, 13):
            import _interpreters

            interpreter = _interpreters.create("isolated")
            self.assertIsNone(_interpreters.exec(interpreter, program))
            _interpreters.destroy(interpreter)
        self.assertIsNone(OURS.getdefaulttimeout())

    def test_a_child_may_close_what_a_thread_of_its_parent_waits_on(self):
        a, b = OURS.socketpair()
        got = []
        thread = threading.Thread(target=lambda: got.append(a.recv(1)))
        thread.start()
        self.wait_until_it_sleeps(thread)
        import warnings

        with warnings.catch_warnings():
            # That there are threads is what is tried here.
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            try:
                ends = a.fileno(), b.fileno()
                a.close()
                b.close()
                links = [os.readlink(f"/proc/self/fd/{fd}") for fd in ends if self.is_open(fd)]
                os._exit(any(link.startswith("socket:") for link in links))
            finally:
                os._exit(2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        b.send(b"x")
        thread.join()
        self.assertEqual(got, [b"x"])
        a.close()
        b.close()

    def is_open(self, fd):
        return os.path.lexists(f"/proc/self/fd/{fd}")

    def test_threads_that_close_meet_threads_that_receive_and_send(self):
        before = sorted(os.listdir("/proc/self/fd"))
        wrong = []

        def use(call):
            try:
                while call():
                    pass
            except OSError as error:
                if error.errno not in (errno.EBADF, errno.EPIPE, errno.ECONNRESET):
                    wrong.append(error)
            except BaseException as error:
                wrong.append(error)

        for round_ in range(60):
            a, b = OURS.socketpair()
            a.settimeout((None, 10)[round_ % 2])
            mark, calls = bytes([round_ + 1]) * 100, []
            room = bytearray(1000)
            for _ in range(2):
                calls += [lambda: b.send(mark), lambda: a.recv(100), lambda: a.recv_into(room)]
            threads = [threading.Thread(target=use, args=(call,)) for call in calls]
            for thread in threads:
                thread.start()
            # Wakes who waits; closing alone does not, with the interpreter's own module neither.
            for each in ((a, b), (b, a))[round_ % 2]:
                each.shutdown(OURS.SHUT_RDWR)
                each.close()
            for thread in threads:
                thread.join(30)
                self.assertFalse(thread.is_alive())
            self.assertEqual(set(room) - {0, round_ + 1}, set(), "somebody else's bytes")
        self.assertEqual(wrong, [])
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)

    def test_a_forked_child_has_its_own_end(self):
        a, b = OURS.socketpair()
        child = os.fork()
        if child == 0:
            b.close()
            a.sendall(b"from the child")
            os._exit(0)
        a.close()
        self.assertEqual(b.recv(100), b"from the child")
        self.assertEqual(b.recv(100), b"")
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        b.close()


class Leaks(unittest.TestCase):
    """Nothing is left behind by calls, whether they succeed or fail."""

    def test_no_memory_and_no_descriptors(self):
        every = [(call, OURS) for call in SAME] + [(call, OURS_SELECT) for call in SAME_SELECT]

        def once():
            for call, module in every:
                outcome(call, module)
            a, b = OURS.socketpair()
            a.sendall(bytearray(100))
            rights = [(OURS.SOL_SOCKET, OURS.SCM_RIGHTS, array.array("i", [0]))]
            a.sendmsg([b"1", memoryview(b"2")], rights)
            b.recv_into(bytearray(10))
            data, control, _flags, _address = b.recvmsg(1000, 100)
            for _level, _kind, raw in control:
                os.close(array.array("i", raw)[0])
            e = OURS_SELECT.epoll()
            e.register(a)
            e.poll(0)
            OURS_SELECT.select([a], [b], [], 0)

        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            blocks, fds = [], []
            for round_ in range(8):
                for _ in range(20):
                    once()
                gc.collect()
                blocks.append(sys.getallocatedblocks())
                fds.append(len(os.listdir("/proc/self/fd")))
        self.assertEqual(len(set(fds[2:])), 1, fds)
        # What 120 rounds of more than 200 calls leave, were there one reference in each.
        self.assertLess(blocks[-1] - blocks[2], 60, blocks)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
