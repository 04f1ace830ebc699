"""Reads an SVG and a PNG without any of our code; says what they show."""

import struct
import sys
import xml.etree.ElementTree as ElementTree
import zlib

svg, png = sys.argv[1:]

root = ElementTree.parse(svg).getroot()
assert root.tag == "{http://www.w3.org/2000/svg}svg", root.tag
for text in root.iter("{http://www.w3.org/2000/svg}text"):
    print("text", text.text)

data = open(png, "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
place, kinds, packed = 8, [], b""
while place < len(data):
    (length,) = struct.unpack(">I", data[place : place + 4])
    kind = data[place + 4 : place + 8]
    body = data[place + 8 : place + 8 + length]
    (checksum,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
    assert checksum == zlib.crc32(kind + body), kind
    kinds.append(kind)
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    if kind == b"IDAT":
        packed += body
    place += 12 + length
assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND", kinds
samples = {0: 1, 2: 3, 6: 4}[colour]
assert len(zlib.decompress(packed)) == height * (1 + width * samples * depth // 8)
print("pixels", width, height)
