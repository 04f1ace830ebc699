#!/usr/bin/env python3
"""The tour, and the tutorials' programs with only their import changed: against each other, the
same programs on the interpreter's own modules, programs of others, and a hub.

The package `berkeley` is on the path. SWITCHBOARD is the program of the hub, for the tests that
talk to one.
"""

import http.server
import os
import pathlib
import re
import shutil
import signal
import socket as stock
import subprocess
import sys
import tempfile
import threading
import unittest

from berkeley import hub

HERE = pathlib.Path(__file__).resolve().parent
TOUR = HERE.parent / "tour"
# Programs as tutorials have them, on the interpreter's own modules; the hub's tests use them too.
TUTORIALS = HERE.parents[1] / "switchboard" / "tests" / "peers"
DOCS = HERE.parents[2] / "docs" / "python.md"

# What a program may take at most; then it is killed, and what waits for it fails.
SECONDS_MAX = 60

OURS = {
    "import socket": "import berkeley as socket",
    "import select": "from berkeley import select",
    "import selectors": "from berkeley import selectors",
}
STOCK = {ours: theirs for theirs, ours in OURS.items()}

# Each has what the interpreter's own modules have not.
ONLY_OURS = {
    "ask_time.py", "chat.py", "echo_selector.py", "parcels.py", "sticky.py", "upload_server.py",
}
SERVERS = {
    "chat_server.py": (), "echo_epoll.py": (), "echo_poll.py": (), "echo_selector.py": (),
    "echo_server.py": (), "time_server.py": (), "udp_server.py": (), "upload_server.py": (".",),
    "web_server.py": (".",),
}
BOTH_BY_TWO = [(first, second) for first in ("ours", "stock") for second in ("ours", "stock")]


class Programs(unittest.TestCase):
    def setUp(self):
        # Not in a `with`: what still runs in it has to end first.
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def program(self, path, on):
        """The path of a program on our modules, or on the interpreter's own."""
        changes = OURS if on == "ours" else STOCK
        text = path.read_text()
        lines = [changes.get(line, line) for line in text.split("\n")]
        changed = self.folder / f"{on}_{path.name}"
        changed.write_text("\n".join(lines))
        self.assertEqual("berkeley" in changed.read_text(), on == "ours", path.name)
        return str(changed)

    def tour(self, name, on="ours"):
        return self.program(TOUR / name, on) if on == "stock" else str(TOUR / name)

    def tutorial(self, name):
        return self.program(TUTORIALS / name, "ours")

    def start(self, *command):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, bufsize=1,
        )
        watch = threading.Timer(SECONDS_MAX, process.kill)
        watch.start()
        self.addCleanup(self.end, process, watch)
        return process

    def end(self, process, watch):
        watch.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()

    def serve(self, script, *words):
        """Starts a server at any port that is free; answers it and its port."""
        server = self.start(sys.executable, script, *words)
        word, number = server.stdout.readline().split()
        self.assertEqual(word, "port")
        return server, number

    def say(self, script, *words, typed=None, status=0):
        done = subprocess.run(
            [sys.executable, script, *words], input=typed, capture_output=True, text=True,
            timeout=SECONDS_MAX,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def until(self, lines, text):
        seen = []
        for line in lines:
            seen.append(line)
            if text in line:
                return seen
        self.fail(f"{text!r} did not come: {seen}")


class Every(Programs):
    def test_it_says_how_it_is_used(self):
        for path in sorted(TOUR.glob("*.py")):
            with self.subTest(path.name):
                self.assertIn(f"usage: {path.name}", self.say(str(path), "--help"))

    def test_servers_end_by_ctrl_c_in_good_order(self):
        for name, words in SERVERS.items():
            with self.subTest(name):
                server, _port = self.serve(self.tour(name), *words, "0")
                server.send_signal(signal.SIGINT)
                self.assertEqual(server.wait(SECONDS_MAX), 0)

    def test_it_is_in_the_table_of_the_docs(self):
        told = re.findall(r"`(\w+\.py)[ `]", DOCS.read_text().partition("## A tour")[2])
        self.assertEqual(sorted(set(told)), sorted(path.name for path in TOUR.glob("*.py")))
        self.assertEqual(len(told), len(set(told)))

    def test_what_has_nothing_of_ours_runs_as_well_on_the_interpreters_own_modules(self):
        for path in TOUR.glob("*.py"):
            if path.name not in ONLY_OURS:
                with self.subTest(path.name):
                    self.say(self.tour(path.name, "stock"), "--help")


class Streams(Programs):
    def test_an_echo_comes_from_each_server_to_each_client(self):
        for server_on, client_on in BOTH_BY_TWO:
            _server, port = self.serve(self.tour("echo_server.py", server_on), "0")
            for text in ("one", "ä" * 30_000):
                client = self.tour("echo_client.py", client_on)
                self.assertEqual(self.say(client, "127.0.0.1", port, text), text + "\n")

    def test_many_at_once_are_answered_by_one_thread(self):
        for name in ("echo_poll.py", "echo_epoll.py", "echo_selector.py"):
            for on in ("ours", "stock") if name not in ONLY_OURS else ("ours",):
                with self.subTest(f"{name} on {on}"):
                    _server, port = self.serve(self.tour(name, on), "0")
                    self.many(int(port))

    def many(self, port):
        peers = [stock.create_connection(("127.0.0.1", port), 20) for _ in range(50)]
        for round_ in range(3):
            for number, peer in enumerate(peers):
                peer.sendall(b"%d of %d" % (round_, number))
            for number, peer in reversed(list(enumerate(peers))):
                self.assertEqual(peer.recv(100), b"%d of %d" % (round_, number))
        # One that breaks off disturbs nobody.
        peers[0].setsockopt(stock.SOL_SOCKET, stock.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peers.pop(0).close()
        for peer in peers:
            peer.sendall(b"still here")
            peer.shutdown(stock.SHUT_WR)
            self.assertEqual(peer.makefile("rb").read(), b"still here")
            peer.close()

    def test_messages_stick_together_and_frames_part_them(self):
        said = self.say(self.tour("sticky.py"))
        self.assertIn("by one call: 'onetwoand three'", said)
        self.assertEqual(re.findall("a frame: '(.*)'", said), ["one", "two", "and three"])

    def test_messages_and_files_are_taken(self):
        _server, port, kept = self.uploads()
        sent = self.folder / "cat.png"
        sent.write_bytes(os.urandom(300_000))
        self.say(self.tour("parcels.py"), "127.0.0.1", port, "hello", f"@{sent}")
        self.assertEqual(kept.joinpath("cat.png").read_bytes(), sent.read_bytes())

    def uploads(self):
        kept = self.folder / "kept"
        kept.mkdir()
        return *self.serve(self.tour("upload_server.py"), str(kept), "0"), kept

    def test_a_bad_upload_stores_nothing_outside_and_ends_nothing_else(self):
        server, port, kept = self.uploads()
        here = ("127.0.0.1", int(port))
        for name in ("../out", "", ".", None):
            header = {"msg_type": "file", "file_name": name}
            parcels = hub.Parcels(*here)
            hub.socket.send_frame(parcels.socket, hub.json.dumps(header).encode())
            hub.socket.send_frame(parcels.socket, b"data")
            try:
                parcels.close()
            except OSError:
                # What it had not read yet resets the connection.
                pass
        self.assertFalse(self.folder.joinpath("out").exists())
        self.assertEqual([path.name for path in kept.iterdir()], ["out"])
        self.say(self.tour("parcels.py"), *map(str, here), "and now?")
        self.until(server.stdout, "message and now?")

    def test_what_one_says_in_the_room_goes_to_the_others(self):
        for on in ("ours", "stock"):
            _server, port = self.serve(self.tour("chat_server.py", on), "0")
            alice = self.start(sys.executable, self.tour("chat.py"), "127.0.0.1", port, "alice")
            bob = self.start(sys.executable, self.tutorial("chat_client.py"), f"127.0.0.1:{port}")
            self.assertRegex(bob.stdout.readline(), r"port \d+")
            # Said again until he hears it, for she may be there before him.
            heard = threading.Event()
            teller = threading.Thread(target=self.tell, args=(alice, heard))
            teller.start()
            self.assertEqual(bob.stdout.readline(), "alice: are you there?\n")
            heard.set()
            teller.join()
            bob.stdin.write("yes\n")
            self.assertRegex(alice.stdout.readline(), r"^127\.0\.0\.1:\d+: yes\n$")

    def tell(self, process, heard):
        while not heard.wait(0.1):
            process.stdin.write("are you there?\n")


class Datagrams(Programs):
    def test_each_is_answered_in_capital_letters(self):
        for server_on, client_on in BOTH_BY_TWO:
            _server, port = self.serve(self.tour("udp_server.py", server_on), "0")
            client = self.tour("udp_client.py", client_on)
            self.assertEqual(self.say(client, "127.0.0.1", port, "one", "two"), "ONE\nTWO\n")

    def test_those_of_an_address_book_talk(self):
        for on in ("ours", "stock"):
            alice, port = self.serve(self.tour("talk.py"))
            bob, his = self.serve(self.tour("talk.py", on), f"alice=127.0.0.1:{port}")
            bob.stdin.write("carol hello?\nalice hello, it's me\n")
            self.assertEqual(alice.stdout.readline(), f"127.0.0.1:{his}: hello, it's me\n")
            alice.stdin.write(f"127.0.0.1:{his} hello, bob\n")
            self.assertEqual(bob.stdout.readline(), "alice: hello, bob\n")

    def test_the_time_is_told(self):
        for on in ("ours", "stock"):
            _server, port = self.serve(self.tour("time_server.py", on), "0")
            answer = self.say(self.tour("ask_time.py"), "127.0.0.1", port, "%Y is a year")
            self.assertRegex(answer, r"^\d{4} is a year\n$")
            self.assertRegex(self.say(self.tour("ask_time.py"), "127.0.0.1", port), r"^\d{4}-")


class Pairs(Programs):
    def test_a_child_counts_the_words_of_files_that_it_is_handed(self):
        for name, words in (("a", "one two"), ("b", "three " * 1000)):
            self.folder.joinpath(name).write_text(words)
        paths = [str(self.folder / name) for name in "ab"]
        for on in ("ours", "stock"):
            said = self.say(self.tour("two_processes.py", on), *paths)
            self.assertEqual(said, "a: 2 words\nb: 1000 words\n")


class Web(Programs):
    def setUp(self):
        super().setUp()
        self.site = self.folder / "site"
        self.site.mkdir()
        self.site.joinpath("page.html").write_text("<h1>A page</h1><a href='cat.png'>a cat</a>\n")
        self.site.joinpath("cat.png").write_bytes(os.urandom(200_000))
        self.folder.joinpath("secret").write_text("not for others")

    def sites(self):
        """A name and a port of each server that has the folder."""
        for on in ("ours", "stock"):
            yield on, self.serve(self.tour("web_server.py", on), str(self.site), "0")[1]

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(own, *arguments):
                super().__init__(*arguments, directory=str(self.site))

            def log_message(own, *_arguments):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield "http.server", server.server_address[1]
            finally:
                server.shutdown()
                thread.join()

    def test_a_browser_shows_a_page_of_each_server(self):
        for name, port in self.sites():
            for on in ("ours", "stock"):
                with self.subTest(f"{name}, a browser on {on}"):
                    url = f"http://127.0.0.1:{port}"
                    said = self.say(self.tour("browser.py", on), f"{url}/page.html")
                    self.assertEqual(said, f"A page\na cat\n-> {url}/cat.png\n")
                    self.assertIn(f"-> {url}/page.html", self.say(self.tour("browser.py", on), url))
                    self.say(self.tour("browser.py", on), f"{url}/nothing", status=1)

    def test_many_files_are_fetched_at_once(self):
        data = self.site.joinpath("cat.png").read_bytes()
        names = [f"cat-{number}.png" for number in range(20)]
        for name in names:
            self.site.joinpath(name).write_bytes(name.encode() + data)
        for where, port in self.sites():
            for on in ("ours", "stock"):
                with self.subTest(f"{where}, fetched on {on}"):
                    kept = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
                    urls = [f"http://127.0.0.1:{port}/{name}" for name in names]
                    said = self.say(self.tour("downloads.py", on), str(kept), *urls)
                    self.assertEqual(len(said.splitlines()), len(names))
                    for name in names:
                        self.assertEqual(kept.joinpath(name).read_bytes(), name.encode() + data)

    def test_a_download_that_fails_is_told_and_leaves_the_others_alone(self):
        _server, port = self.serve(self.tour("web_server.py"), str(self.site), "0")
        with stock.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            urls = [f"http://127.0.0.1:{nobody.getsockname()[1]}/x"]
            urls += [f"http://127.0.0.1:{port}/{name}" for name in ("nothing", "page.html")]
            said = self.say(self.tour("downloads.py"), str(self.folder), *urls, status=1)
        self.assertRegex(said, r"^page.html: \d+ bytes\n$")

    def test_curl_gets_what_is_in_the_folder_and_nothing_else(self):
        if not shutil.which("curl"):
            self.skipTest("skipped: no curl")
        _server, port = self.serve(self.tour("web_server.py"), str(self.site), "0")
        base = f"http://127.0.0.1:{port}"
        self.assertEqual(self.curl(f"{base}/cat.png"), self.site.joinpath("cat.png").read_bytes())
        os.symlink(self.folder / "secret", self.site / "link")
        for path in ("../secret", "%2e%2e/secret", "link", "nothing"):
            self.assertIn(b"no such file", self.curl("--path-as-is", f"{base}/{path}"))

    def curl(self, *words):
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", *words]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


class Tutorials(Programs):
    """The tutorials' own programs, with only their import changed, talk to each other."""

    def test_an_echo(self):
        _server, port = self.serve(self.tutorial("echo_server.py"))
        client = self.tutorial("echo_client.py")
        said = self.say(client, f"127.0.0.1:{port}", typed="one\ntwo\n")
        self.assertEqual(said, "answer one\nanswer two\n")

    def test_a_room_on_select(self):
        server, port = self.serve(self.tutorial("room_server.py"))
        alice, bob = (
            self.start(sys.executable, self.tutorial("chat_client.py"), f"127.0.0.1:{port}")
            for _ in range(2)
        )
        for _ in range(2):
            self.until(server.stdout, "joined")
        hers = alice.stdout.readline().split()[1]
        bob.stdout.readline()
        alice.stdin.write("hello, all\n")
        alice.stdin.close()
        self.until(server.stdout, "left")
        bob.stdin.close()
        self.assertEqual(bob.stdout.read(), f"127.0.0.1:{hers}:hello, all(closed)\n")

    def test_messages_and_files(self):
        sent, kept = self.folder / "cat.png", self.folder / "kept"
        kept.mkdir()
        sent.write_bytes(os.urandom(300_000))
        server, port = self.serve(self.tutorial("upload_server.py"), str(kept))
        words = ("msg:hello", f"file:{sent}")
        self.say(self.tutorial("upload_client.py"), f"127.0.0.1:{port}", *words)
        self.assertEqual(server.stdout.read(), "message hello\nfile cat.png\nclosed\n")
        self.assertEqual(kept.joinpath("cat.png").read_bytes(), sent.read_bytes())

    def test_a_talk_by_datagrams(self):
        server, port = self.serve(self.tutorial("talk_server.py"))
        words = (f"bob=127.0.0.1:{port}",)
        client = self.start(sys.executable, self.tutorial("talk_client.py"), *words)
        client.stdin.write("bob\nhello\n")
        self.assertRegex(server.stdout.readline(), r"^127\.0\.0\.1:\d+ says hello\n$")
        server.stdin.write("you too\n")
        self.assertEqual(client.stdout.readline(), "bob answers you too\n")

    def test_the_time(self):
        _server, port = self.serve(self.tutorial("time_server.py"))
        said = self.say(self.tutorial("time_client.py"), f"127.0.0.1:{port}", "it is %Y")
        self.assertRegex(said, r"^it is \d{4}\n$")

    def test_datagrams_in_capital_letters(self):
        _server, port = self.serve(self.tutorial("udp_server.py"))
        client = self.tour("udp_client.py", "stock")
        self.assertEqual(self.say(client, "127.0.0.1", port, "a"), "A\n")


class Hub(Programs):
    def setUp(self):
        super().setUp()
        program = os.environ.get("SWITCHBOARD")
        if not program:
            self.skipTest("skipped: no hub here")
        nowhere, self.door = "127.0.0.1:0", str(self.folder / "door")
        self.kept = self.folder / "hub"
        self.hub = self.start(
            program, "serve", "--data", str(self.kept), "--chat", nowhere, "--parcels", nowhere,
            "--time", nowhere, "--unix", self.door,
        )
        self.ports = self.doors()
        self.alice = hub.Chat("127.0.0.1", self.ports["chat"], name="alice")
        self.addCleanup(self.alice.close)
        # Answered when she is in the room.
        self.alice.say("/who")
        self.until(self.alice, "alice")

    def doors(self):
        """Where its doors are: it says so before it says that it is ready."""
        found = {}
        for line in self.hub.stdout:
            door, *place = line.split()
            if door == "ready":
                return found
            if place[-1].startswith(("tcp://", "udp://")):
                found[door] = int(place[-1].rpartition(":")[2])
        self.fail(f"the hub did not start: {found}")

    def test_the_tour_talks_to_it(self):
        chat, parcels, clock = (str(self.ports[door]) for door in ("chat", "parcels", "time"))
        bob = self.start(sys.executable, self.tour("chat.py"), "127.0.0.1", chat, "bob")
        bob.stdin.write("from bob\n")
        self.until(self.alice, "bob:from bob")
        self.alice.say("to bob")
        self.until(bob.stdout, "alice:to bob")
        sent = self.folder / "cat.png"
        sent.write_bytes(os.urandom(100_000))
        words = ("hello from the tour", f"@{sent}")
        self.say(self.tour("parcels.py"), "127.0.0.1", parcels, *words)
        self.until(self.alice, "hello from the tour")
        self.until(self.alice, "cat.png")
        self.assertEqual(self.copies(sent), 1)
        said = self.say(self.tour("ask_time.py"), "127.0.0.1", clock, "%Y")
        self.assertRegex(said, r"^\d{4}\n$")

    def copies(self, sent):
        data = sent.read_bytes()
        kept = [path for path in self.kept.rglob("*") if path.is_file()]
        return sum(path.read_bytes() == data for path in kept)

    def test_the_tutorials_programs_talk_to_it(self):
        chat = self.tutorial("chat_client.py")
        bob = self.start(sys.executable, chat, f"127.0.0.1:{self.ports['chat']}")
        his = bob.stdout.readline().split()[1]
        bob.stdin.write("from bob\n")
        self.until(self.alice, f"{his}:from bob")
        self.alice.say("to bob")
        self.until(bob.stdout, "alice:to bob")
        for number, place in enumerate((f"127.0.0.1:{self.ports['parcels']}", self.door)):
            sent = self.folder / f"cat-{number}.png"
            sent.write_bytes(os.urandom(100_000))
            words = (f"msg:hello {number}", f"file:{sent}")
            self.say(self.tutorial("upload_client.py"), place, *words)
            self.until(self.alice, f"hello {number}")
            self.until(self.alice, sent.name)
            self.assertEqual(self.copies(sent), 1)
        clock = self.tutorial("time_client.py")
        said = self.say(clock, f"127.0.0.1:{self.ports['time']}", "%Y")
        self.assertRegex(said, r"^\d{4}\n$")
        room = self.tutorial("room_client.py")
        words = ("send", "lobby", "carol", "1", "hello from a room")
        self.assertIn("ack", self.say(room, f"127.0.0.1:{self.ports['parcels']}", *words))


if __name__ == "__main__":
    # Where it is ignored, as in the background of a shell, children would have it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unittest.main()
