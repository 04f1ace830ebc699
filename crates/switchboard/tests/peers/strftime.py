"""Reads `SECONDS|text` lines and prints what C's strftime makes of a format at those seconds.

strftime.py FORMAT (in the zone of the environment's TZ)
"""
import sys
import time

for line in sys.stdin:
    seconds = int(line.split("|", 1)[0])
    print(time.strftime(sys.argv[1], time.localtime(seconds)), flush=True)
