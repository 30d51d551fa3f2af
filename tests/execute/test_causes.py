"""What exceptions of a step mean. Their texts are torch's own; no device is needed to raise them."""

import errno
import os
import tempfile
from dataclasses import replace

import pytest
from test_execute_parts import SPEC

from spatialrun.errors import DataError
from spatialrun.execute.causes import cause, is_plain

ON_CUDA = replace(SPEC, uses="domains.deepst", device="cuda")


class OutOfMemoryError(RuntimeError):
    pass


class AcceleratorError(RuntimeError):
    pass


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"), "device-memory"),
        (RuntimeError("CUDA error: out of memory"), "device-memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "device-memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"), "device-memory"),
        (RuntimeError("No CUDA GPUs are available"), "device-missing"),
        (AssertionError("Torch not compiled with CUDA enabled"), "device-missing"),
        (AcceleratorError("CUDA error: invalid device ordinal"), "device-missing"),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), "device-missing"),
        (AcceleratorError("CUDA error: unspecified launch failure"), "device-lost"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "device-lost"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"), "memory"),
        (MemoryError("Unable to allocate 7 TiB for an array"), "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/lab/store/partial/x"), "disk-full"),
        (OSError("[Errno 28] Can't write data (error message = 'No space left on device')"), "disk-full"),
        (OSError(errno.ENOENT, "No such file or directory"), "failed"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "missing-package"),
        (ModuleNotFoundError("No module named 'skimage.io'", name="skimage.io"), "missing-package"),
        (ImportError("libcudnn.so.9: cannot open shared object file"), "import"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "failed"),
        (AssertionError("the sizes differ"), "failed"),
        (ValueError("CUDA error is not what a ValueError is about"), "failed"),
    ],
)
def test_codes(problem, code):
    assert cause(problem, ON_CUDA).code == f"task.{code}"


def test_what_is_coded_already_stays_as_it_is():
    error = DataError("data.values", "no spots")
    assert cause(error, ON_CUDA) is error


def test_torchs_advice_is_left_to_the_log():
    error = cause(RuntimeError("CUDA error: misaligned address\nCompile with `TORCH_USE_CUDA_DSA`"), ON_CUDA)
    assert error.what == "cuda failed under domains.deepst: RuntimeError: CUDA error: misaligned address"


@pytest.mark.parametrize(
    ("store", "file", "place"),
    [
        ("/lab/store", None, "/lab/store"),
        ("/lab/store", "/lab/store/partial/x/scratch/0", "/lab/store/partial/x/scratch"),
        ("s3://lab/store", None, tempfile.gettempdir()),
    ],
)
def test_a_full_disk_is_said_with_where_it_is(store, file, place):
    number = errno.ENOSPC
    error = cause(OSError(number, os.strerror(number), file), replace(SPEC, store=store))
    assert error.what == f"svg.spatialde has no space to write to in {place}: {os.strerror(number)}"
    assert f"make room in {place}" in error.hint
    assert "report" not in error.hint


def test_a_missing_package_is_named_with_who_lacks_it():
    error = cause(ModuleNotFoundError("No module named 'skimage.io'", name="skimage.io"), SPEC)
    assert "svg.spatialde needs skimage, which " in error.what
    assert error.hint == "install it there: pip install 'spatialrun[image]'"
    unknown = cause(ModuleNotFoundError("No module named 'bbknn'", name="bbknn"), SPEC)
    assert unknown.hint == "install it there: pip install bbknn"


def test_torch_may_be_in_another_interpreter():
    error = cause(ModuleNotFoundError("No module named 'torch_geometric'", name="torch_geometric"), ON_CUDA)
    assert "pip install 'spatialrun[deepst]'; or name an interpreter" in error.hint


@pytest.mark.parametrize(
    ("problem", "plain"),
    [
        (ModuleNotFoundError("No module named 'skimage'", name="skimage"), True),
        (ModuleNotFoundError("No module named 'own'", name="own"), False),
        (ImportError("libcudnn.so.9: cannot open shared object file", name="torch"), False),
        (DataError("data.values", "no spots"), True),
        (ValueError("the sizes differ"), False),
    ],
)
def test_what_needs_no_traceback(problem, plain):
    """A package that an extra brings; one that nobody knows may be misspelt somewhere in a plugin."""
    assert is_plain(cause(problem, SPEC), problem) == plain


def test_torch_itself_says_so():
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(10**15)
    assert cause(raised.value, SPEC).code == "task.memory"
