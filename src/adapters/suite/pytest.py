# Tests that blueprint adds to a run of pytest: one that has to pass and one that has to fail, before all others and behind
# them. A report without them, or with another end of theirs, is not pytest's.
import os
import pathlib

import pytest

# The path to this file is nobody else's.
_before = os.environ.get("BLUEPRINT_PYTHONPATH")
os.environ.pop("BLUEPRINT_PYTHONPATH", None)
if _before:
    os.environ["PYTHONPATH"] = _before
else:
    os.environ.pop("PYTHONPATH", None)


def test___PASSES__():
    pass


def test___FAILS__():
    raise AssertionError("this test has to fail: blueprint looks whether that is told")


def test___PASSES_AT_THE_END__():
    pass


def test___FAILS_AT_THE_END__():
    raise AssertionError("this test has to fail: blueprint looks whether that is told")


class _Sentinels:
    session = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session):
        self.session = session

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session, items):
        if not items:
            return
        place = pathlib.Path(__file__)
        try:
            module = pytest.Module.from_parent(session, path=place)
        except TypeError:
            import py

            module = pytest.Module.from_parent(session, fspath=py.path.local(str(place)))
        own = list(session.genitems(module))
        items[:] = own[:2] + items + own[2:]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_logreport(self, report):
        # A failure that has to be is none that counts, nor one that ends the run.
        session = self.session
        expected = any(name in report.nodeid for name in ("test___FAILS__", "test___FAILS_AT_THE_END__"))
        if session is None or not expected or not report.failed:
            yield
            return
        option = session.config.option
        most = getattr(option, "maxfail", 0)
        if most:
            option.maxfail = most + 1
        yield
        if most:
            option.maxfail = most
        session.testsfailed -= 1


def pytest_configure(config):
    config.pluginmanager.register(_Sentinels())
