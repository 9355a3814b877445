"""The start of TensorFlow: what it prints, the device that computes, and a GPU that is hidden."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import runtime
from tests.conftest import ROOT

FAKE = """
import os, types
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"I0000 00:00:1.2 3 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"W0000 00:00:1.2 3 gpu_device.cc:2] Cannot dlopen some GPU libraries.\\n")
grown = []
gpus = [types.SimpleNamespace(name="/physical_device:GPU:0")] if os.environ.get("CUDA_VISIBLE_DEVICES") != "" else []
config = types.SimpleNamespace(
    list_physical_devices=lambda kind: gpus,
    experimental=types.SimpleNamespace(
        set_memory_growth=lambda gpu, grow: grown.append((gpu.name, grow)),
        get_device_details=lambda gpu: {"device_name": "NVIDIA Test"},
    ),
)
"""
"""A module in place of TensorFlow on a machine with a GPU, which this one need not have."""


def start(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess:
    (folder / "tensorflow.py").write_text(FAKE)
    code = f"from pipeline.core import runtime; runtime.load_tensorflow(); import tensorflow as tf; {code}"
    path = os.pathsep.join([str(folder), str(ROOT)])
    given = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given, check=True)


def test_information_is_not_printed_and_warnings_are(tmp_path):
    done = start(tmp_path, "")
    assert done.stderr == "W0000 00:00:1.2 3 gpu_device.cc:2] Cannot dlopen some GPU libraries.\n"


def test_the_message_of_a_tensorflow_that_aborts_is_printed(tmp_path):
    """As on a processor without the instructions that it was compiled for."""
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'F0000 compiled to use AVX\\n'); os.abort()")
    code = "from pipeline.core import runtime; runtime.load_tensorflow()"
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=given)
    assert (done.returncode, done.stderr) == (-signal.SIGABRT, "F0000 compiled to use AVX\n")


def test_a_gpu_is_named_and_its_memory_taken_as_needed(tmp_path):
    done = start(tmp_path, "print(runtime.gpu(), tf.grown)", CUDA_VISIBLE_DEVICES="0")
    assert done.stdout == "NVIDIA Test [('/physical_device:GPU:0', True)]\n"


def test_a_hidden_gpu_does_not_compute(tmp_path):
    assert start(tmp_path, "print(runtime.gpu())", CUDA_VISIBLE_DEVICES="").stdout == "None\n"


@pytest.mark.process
def test_tensorflow_itself_prints_nothing_when_it_starts():
    code = "from pipeline.core import runtime; runtime.load_tensorflow(); import tensorflow as tf; tf.constant(1) + 1"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_number_of_threads_is_set(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    runtime.configure(3)
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "3"
