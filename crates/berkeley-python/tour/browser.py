"""Fetches a page by HTTP, and shows its text with the links behind it."""
import argparse
import html.parser
import sys
import urllib.parse

import berkeley as socket

PAGE_BYTES_MAX = 1 << 24

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("url", metavar="http://HOST[:PORT]/PATH")
url = parser.parse_args().url
parts = urllib.parse.urlsplit(url)

with socket.create_connection((parts.hostname, parts.port or 80), timeout=30) as server:
    path = parts.path or "/"
    # By 1.0 the server ends the connection where the page ends.
    server.sendall(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
    with server.makefile("rb") as answer:
        page = answer.read(PAGE_BYTES_MAX)

head, _, body = page.partition(b"\r\n\r\n")
status, *_fields = head.decode("latin-1").split("\r\n")
if status.split()[1:2] != ["200"]:
    sys.exit(f"{url}: {status}")


class Text(html.parser.HTMLParser):
    links, depth = [], 0

    def handle_starttag(self, tag, attributes):
        self.depth += tag in ("script", "style")
        if tag == "a":
            self.links += [value for name, value in attributes if name == "href"]

    def handle_endtag(self, tag):
        self.depth -= tag in ("script", "style")

    def handle_data(self, data):
        if data.strip() and not self.depth:
            print(" ".join(data.split()))


text = Text()
text.feed(body.decode(errors="replace"))
for link in text.links:
    print("->", urllib.parse.urljoin(url, link))
