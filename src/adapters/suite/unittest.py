# What blueprint runs instead of the module `unittest`: the same command line, with a report of every test, and with two tests
# of blueprint's before all others and two behind them, of which one has to pass and one has to fail. A run that ends
# early leaves no report, and one in which every test passes has let a test pass that fails.
import io
import os
import sys
import unittest
from xml.sax.saxutils import quoteattr

_place = os.environ.pop("BLUEPRINT_JUNIT", "")
# The path to this file is nobody else's.
_before = os.environ.pop("BLUEPRINT_PYTHONPATH", "")
if _before:
    os.environ["PYTHONPATH"] = _before
else:
    os.environ.pop("PYTHONPATH", None)
_own = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _own or path == ""]


_UNTRUE = [
    ("assertEqual", (1, 2)),
    ("assertNotEqual", (1, 1)),
    ("assertTrue", (0,)),
    ("assertFalse", (1,)),
    ("assertIs", (1, None)),
    ("assertIsNone", (1,)),
    ("assertIsNotNone", (None,)),
    ("assertIn", (1, [])),
    ("assertNotIn", (1, [1])),
    ("assertIsInstance", (1, str)),
    ("assertAlmostEqual", (1.0, 2.0)),
    ("assertGreater", (1, 2)),
    ("assertLess", (2, 1)),
    ("assertListEqual", ([1], [2])),
    ("assertDictEqual", ({1: 1}, {1: 2})),
    ("assertRaises", (ValueError, int, "1")),
    ("assertRegex", ("a", "b")),
    ("assertCountEqual", ([1], [2])),
    ("fail", ()),
]


class Sentinels(unittest.TestCase):
    def test___PASSES__(self):
        pass

    def test___FAILS__(self):
        self.fails()

    def test___PASSES_AT_THE_END__(self):
        pass

    def test___FAILS_AT_THE_END__(self):
        self.fails()

    def fails(self):
        # Where one of these lets everything pass, this test passes.
        for name, words in _UNTRUE:
            try:
                getattr(self, name)(*words)
            except AssertionError:
                continue
            return
        raise AssertionError("this test has to fail: blueprint looks whether that is told")


class _Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super(_Result, self).__init__(*args, **kwargs)
        self.told = []

    def tell(self, test, kind="", text=""):
        self.told.append((test.id(), kind, str(text)))

    def addSuccess(self, test):
        self.tell(test)
        super(_Result, self).addSuccess(test)

    def addError(self, test, err):
        super(_Result, self).addError(test, err)
        self.tell(test, "error", self.errors[-1][1])

    def addFailure(self, test, err):
        super(_Result, self).addFailure(test, err)
        self.tell(test, "failure", self.failures[-1][1])

    def addSkip(self, test, reason):
        super(_Result, self).addSkip(test, reason)
        self.tell(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        super(_Result, self).addExpectedFailure(test, err)
        self.tell(test)

    def addUnexpectedSuccess(self, test):
        super(_Result, self).addUnexpectedSuccess(test)
        self.tell(test, "failure", "it passed, and was expected to fail")

    def addSubTest(self, test, subtest, err):
        super(_Result, self).addSubTest(test, subtest, err)
        if err is not None:
            list_of = self.failures if issubclass(err[0], test.failureException) else self.errors
            self.tell(test, "failure", list_of[-1][1])


def _ours(*names):
    # Apart from the others: no failure that has to be counts, nor ends the run.
    result = _Result(unittest.runner._WritelnDecorator(io.StringIO()), False, 0)
    unittest.TestSuite([Sentinels("test_" + name) for name in names]).run(result)
    return result.told


def _attribute(text):
    return quoteattr("".join(c if c in "\t\n\r" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe" else "?" for c in text))


def _report(told, write=open):
    with write(_place, "w", encoding="utf-8") as file:
        file.write("<testsuites><testsuite>\n")
        for name, kind, text in told:
            file.write("<testcase name=%s>" % _attribute(name))
            if kind:
                file.write("<%s message=%s/>" % (kind, _attribute(text)))
            file.write("</testcase>\n")
        file.write("</testsuite></testsuites>\n")


class _Runner(unittest.TextTestRunner):
    resultclass = _Result

    def run(self, test):
        before = _ours("__PASSES__", "__FAILS__")
        result = super(_Runner, self).run(test)
        _report(before + result.told + _ours("__PASSES_AT_THE_END__", "__FAILS_AT_THE_END__"))
        return result


if __name__ == "__main__":
    sys.argv[0] = os.path.basename(sys.executable) + " -m unittest"
    unittest.main(module=None, testRunner=_Runner)
