"""Talks by datagrams with those of an address book: each line is a name and what to tell it.

Who calls without being in the book is shown by its address, which is its name from then on.
"""
import argparse
import sys
import threading

import berkeley as socket

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=0, help="where to be called; 0: any that is free")
parser.add_argument("contacts", nargs="*", metavar="NAME=HOST:PORT")
arguments = parser.parse_args()

book = {}
for contact in arguments.contacts:
    name, _, place = contact.partition("=")
    host, _, port = place.rpartition(":")
    # As senders are seen: by number.
    book[name] = socket.gethostbyname(host), int(port)


def name_of(address):
    for name, known in book.items():
        if known == address:
            return name
    name = "%s:%d" % address
    book[name] = address
    return name


def show(s):
    while True:
        try:
            data, address = s.recvfrom(65536)
        except ConnectionRefusedError:
            continue
        print(f"{name_of(address)}: {data.decode(errors='replace')}", flush=True)


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("127.0.0.1", arguments.port))
    print("port", s.getsockname()[1], flush=True)
    threading.Thread(target=show, args=(s,), daemon=True).start()
    for line in sys.stdin:
        name, _, text = line.rstrip("\n").partition(" ")
        if name in book:
            s.sendto(text.encode(), book[name])
        else:
            print(f"{name!r} is not in the book: {', '.join(book)}", file=sys.stderr)
