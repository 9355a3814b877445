"""`make audit` says what is weak, and never calls clean what nobody looked at."""

import os
import runpy
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "scripts" / "audit.py"


def test_a_weakness_is_named_with_the_versions_that_mend_it():
    weaknesses = runpy.run_path(str(SCRIPT))["weaknesses"]
    found = [{"id": "PYSEC-2030-1", "aliases": ["CVE-2030-1"], "fix_versions": ["1.1", "2.0"]}]
    found += [{"id": "PYSEC-2030-2", "aliases": [], "fix_versions": []}]
    assert weaknesses({"name": "package", "version": "1.0", "vulns": found}) == [
        "package 1.0: PYSEC-2030-1, mended in 1.1, 2.0",
        "package 1.0: PYSEC-2030-2, mended in no version",
    ]
    assert weaknesses({"name": "package", "version": "1.0", "vulns": []}) == []


@pytest.mark.process
def test_a_service_that_is_out_of_reach_is_no_clean_result():
    nowhere = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=nowhere, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == "not audited: the service cannot be reached, or does not know any of the locked packages\n"
