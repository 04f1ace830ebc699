#!/usr/bin/env python3
"""Runs the interpreter's own tests, unmodified, on its own modules and on ours, side by side.

    suite.py FOLDER RESULTS [--fresh] [--only TEXT] MODULE...

FOLDER has our `_socket` and `select` for this interpreter. RESULTS gets one file of results for
each module and side, and side-by-side.txt with what became of each test on both; what the
interpreter's own modules gave is kept from run to run unless --fresh says otherwise. The exit
status is 0 if nothing that passes on the interpreter's own modules fails, is skipped or is missing
on ours, but for what tests/exceptions.txt lists with a reason.
"""

import argparse
import fnmatch
import json
import os
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXCEPTIONS = HERE / "exceptions.txt"
# One module of tests on one side; test_asyncio takes the longest.
SECONDS_MAX = 900
SIDE_BY_SIDE = "side-by-side.txt"


def exceptions():
    """Two lists of (pattern, reason): tests that are run on neither side, and that may differ."""
    lists = {"leave-out": [], "may-differ": []}
    for line in EXCEPTIONS.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            kind, pattern, reason = line.split(None, 2)
            lists[kind].append((pattern, reason))
    return lists


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern, _reason in patterns)


# One side: in a process of its own.


def run(result_file, folder, names, skips):
    """Runs the tests of `names`, and writes what became of each."""
    import _socket
    import select
    import unittest
    from test import support

    ours = pathlib.Path(folder) if folder else None
    for module in (_socket, select):
        # Where it is built in, ours come by the folder's sitecustomize.py.
        file = getattr(module, "__file__", None)
        is_ours = file is not None and ours is not None and pathlib.Path(file).parent == ours
        if is_ours != bool(ours):
            sys.exit(f"{module.__name__} comes from {file or 'the interpreter'}")

    made = {"sockets": 0, "strangers": 0}

    def watch(event, arguments):
        if event == "socket.__new__":
            made["sockets"] += 1
            made["strangers"] += not isinstance(arguments[0], _socket.socket)

    sys.addaudithook(watch)
    support.use_resources = ["network"]
    results = {}

    class Result(unittest.TextTestResult):
        def note(self, test, outcome, why=""):
            results[test.id()] = [outcome, why]

        def addSuccess(self, test):
            super().addSuccess(test)
            self.note(test, "passed")

        def addError(self, test, error):
            super().addError(test, error)
            self.note(test, "failed", self.errors[-1][1])

        def addFailure(self, test, error):
            super().addFailure(test, error)
            self.note(test, "failed", self.failures[-1][1])

        def addSkip(self, test, reason):
            super().addSkip(test, reason)
            self.note(test, "skipped", reason)

        def addSubTest(self, test, subtest, error):
            super().addSubTest(test, subtest, error)
            if error is not None:
                self.note(test, "failed", str(error[1]))

        def addExpectedFailure(self, test, error):
            super().addExpectedFailure(test, error)
            self.note(test, "passed")

    def each(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from each(test)
            elif not any(fnmatch.fnmatchcase(test.id(), skip) for skip in skips):
                yield test

    loaded = unittest.defaultTestLoader.loadTestsFromNames(names)
    # Kept by class, so that fixtures of classes and modules are made once.
    suite, quiet = unittest.TestSuite(each(loaded)), open(os.devnull, "w")
    unittest.TextTestRunner(verbosity=0, resultclass=Result, stream=quiet).run(suite)
    answer = {
        "python": sys.version,
        "_socket": getattr(_socket, "__file__", None),
        "select": getattr(select, "__file__", None),
        **made,
        "tests": results,
    }
    pathlib.Path(result_file).write_text(json.dumps(answer, indent=1))
    sys.stdout.flush()
    # Threads and processes that a test has left behind do not matter any more.
    os._exit(0)


def side(folder, results, name, skips, tests=()):
    """Has one side run, and answers its results."""
    tag = "ours" if folder else "own"
    path = results / f"{name}.{tag}.json"
    path.unlink(missing_ok=True)
    environment = dict(os.environ, PYTHONWARNINGS="ignore", PYTHONHASHSEED="0")
    environment.pop("PYTHONPATH", None)
    if folder:
        environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, str(HERE / "suite.py"), "--run", str(path), str(folder or "")]
    command += [json.dumps(list(tests) or [name]), json.dumps([skip for skip, _reason in skips])]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace",
    )
    try:
        said, _ = process.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, f"killed after {SECONDS_MAX} s"
    if not path.exists():
        return None, f"exit status {process.returncode}: {said[-2000:]}"
    return json.loads(path.read_text()), said


# Both sides.


def count(answer):
    outcomes = [outcome for outcome, _why in answer["tests"].values()]
    return [outcomes.count(each) for each in ("passed", "failed", "skipped")]


def differences(own, ours):
    """What ours does worse: (test, outcome on its own, outcome on ours, why)."""
    for test, (outcome, _why) in own["tests"].items():
        mine, why = ours["tests"].get(test, ["missing", ""])
        if outcome == "passed" and mine != "passed":
            yield test, outcome, mine, why
        if outcome == "skipped" and mine == "missing":
            yield test, outcome, mine, why


def compare(arguments, name, lists, rows):
    """Runs one module on both sides; answers how many differences stand."""
    results = pathlib.Path(arguments.results)
    kept = results / f"{name}.own.json"
    own = None
    if kept.exists() and not arguments.fresh:
        own = json.loads(kept.read_text())
        own = own if own["python"] == sys.version else None
    if own is None:
        own, said = side(None, results, name, lists["leave-out"])
        if own is None:
            print(f"{name}: the interpreter's own modules: {said}")
            return 1
    folder = pathlib.Path(arguments.folder).resolve()
    ours, said = side(folder, results, name, lists["leave-out"])
    if ours is None:
        print(f"{name}: ours: {said}")
        return 1
    found = [each for each in differences(own, ours)]
    # What fails now and then fails on both sides: a second try tells, and is told.
    again = [test for test, _own, mine, _why in found if mine == "failed"]
    if again:
        second, _said = side(folder, results, f"{name}.again", lists["leave-out"], again)
        tried = second["tests"] if second else {}
        passed = [test for test in again if tried.get(test, [""])[0] == "passed"]
        for test in passed:
            print(f"  passed at the second try: {test}")
            ours["tests"][test] = ["passed", "at the second try"]
        found = [each for each in found if each[0] not in passed]
    stand = 0
    for test, outcome, mine, why in found:
        is_listed = matches(test, lists["may-differ"])
        stand += not is_listed
        print(f"  {'listed' if is_listed else 'WORSE'}: {test}: {outcome}, ours {mine}")
        for line in why.strip().splitlines()[-6:]:
            print(f"      {line}")
    if ours["strangers"]:
        print(f"  {ours['strangers']} sockets of another type were made")
        stand += 1
    rows.append((name, count(own), count(ours), ours["sockets"]))
    with open(results / SIDE_BY_SIDE, "a") as file:
        for test in sorted({*own["tests"], *ours["tests"]}):
            first, second = (side["tests"].get(test, ["missing"])[0] for side in (own, ours))
            print(f"{first:8} {second:8} {test}", file=file)
    return stand


def report(rows):
    print(f"\n{'':34} {'its own':>22}   {'ours':>22}")
    words = f"{'passed':>7} {'failed':>6} {'skipped':>7}"
    print(f"{'module':34} {words}   {words}  sockets")
    for name, own, ours, sockets in rows:
        one = " ".join(f"{number:{width}}" for number, width in zip(own, (7, 6, 7)))
        other = " ".join(f"{number:{width}}" for number, width in zip(ours, (7, 6, 7)))
        print(f"{name:34} {one}   {other}  {sockets}")


def main():
    if sys.argv[1:2] == ["--run"]:
        result_file, folder, names, skips = sys.argv[2:]
        run(result_file, folder, json.loads(names), json.loads(skips))
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("results")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("modules", nargs="+")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    results = pathlib.Path(arguments.results)
    results.mkdir(parents=True, exist_ok=True)
    (results / SIDE_BY_SIDE).write_text(f"{'its own':8} {'ours':8} test\n")
    lists, rows = exceptions(), []
    stand = sum(compare(arguments, name, lists, rows) for name in arguments.modules)
    report(rows)
    print(f"each test: {results / SIDE_BY_SIDE}")
    print(f"{sys.version.split()[0]}: {stand} tests are worse on ours")
    sys.exit(1 if stand else 0)


if __name__ == "__main__":
    main()
