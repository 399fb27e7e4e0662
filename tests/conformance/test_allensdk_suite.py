"""AllenSDK's own tests of a session, from where AllenSDK is installed, run against our class."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.conformance

#: for AllenSDK's Python
WHERE = """
import importlib.util
print(importlib.util.find_spec("allensdk").submodule_search_locations[0])
"""
TESTS = "test/brain_observatory/ecephys/test_ecephys_session.py"
#: how many there are in AllenSDK 2.16.2
NUMBER = 32
_PRESENTATIONS = (
    "The test's own object calls the index of the presentations 'id', and expects it back; of a file, AllenSDK itself "
    "calls it 'stimulus_presentation_id', and so do we."
)
#: the tests that fail, and why; docs/differences-from-allensdk.md says the same
FAILING = {
    "test_get_invalid_times": (
        "The test's own object gives the index of the invalid times no name, and expects none; of a file, AllenSDK "
        "itself calls it 'id', and so do we."
    ),
    "test_get_stimulus_table[True]": _PRESENTATIONS,
    "test_get_stimulus_table[False]": _PRESENTATIONS,
}


@pytest.mark.parametrize(
    ("options", "failing"),
    [
        pytest.param([], FAILING, id="as they are"),
        # so that nothing else hides behind the reasons given
        pytest.param(["--any-index-name"], {}, id="but for names of indices"),
    ],
)
def test_allensdk_s_own_tests(
    allensdk: Callable[..., str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    options: list[str],
    failing: dict[str, str],
) -> None:
    passed, text = _run(Path(allensdk(WHERE).strip()) / TESTS, tmp_path, options)
    said = f"{sum(passed.values())} of AllenSDK's {len(passed)} tests of a session pass"
    record_property("allensdk_tests", said)
    print(said)
    assert {name for name, well in passed.items() if not well} == set(failing), f"{said}\n{text}"
    assert len(passed) == NUMBER


def _run(tests: Path, folder: Path, options: list[str]) -> tuple[dict[str, bool], str]:
    """Return which of some tests pass when they are run in a folder, and what pytest says of them."""
    shutil.copyfile(tests, folder / tests.name)
    shutil.copyfile(Path(__file__).with_name("shim.py"), folder / "conftest.py")
    # our own settings are not for them
    (folder / "pytest.ini").write_text("[pytest]\n")
    said = subprocess.run(
        [sys.executable, "-m", "pytest", tests.name, "--junitxml=results.xml", "--tb=short", *options],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=150,
    )
    text = said.stdout + said.stderr
    # 1 says that some tests failed; what is above it, that they could not be run
    assert said.returncode in (0, 1), text
    cases = list(ElementTree.parse(folder / "results.xml").iter("testcase"))
    failed = {
        case.attrib["name"] for case in cases if {each.tag for each in case} & {"failure", "error", "skipped"}
    }
    return {case.attrib["name"]: case.attrib["name"] not in failed for case in cases}, text
