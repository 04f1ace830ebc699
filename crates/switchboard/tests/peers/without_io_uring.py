"""Runs a program for which io_uring_setup(2) fails, by a filter of seccomp(2).

without_io_uring.py ERRNO PROGRAM ARGUMENT...

Ends with status 77 where there can be no such filter.
"""
import ctypes
import os
import struct
import sys

SETUP = 425
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
ERRNO, ALLOW = 0x00050000 | int(sys.argv[1]), 0x7FFF0000

# Load the number of the call; if it is this one, answer the errno; else allow it.
CODE = [(0x20, 0, 0, 0), (0x15, 0, 1, SETUP), (0x06, 0, 0, ERRNO), (0x06, 0, 0, ALLOW)]

libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in CODE))
header = ctypes.create_string_buffer(struct.pack("HP", len(CODE), ctypes.addressof(program)))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit(77)
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) != 0:
    sys.exit(77)
os.execv(sys.argv[2], sys.argv[2:])
