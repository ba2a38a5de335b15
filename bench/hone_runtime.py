"""hone's C API (runtime/hone.h) for benchmarks in Python: load a compiled model, set inputs, run."""

import ctypes

import numpy as np

_DTYPES = {"f32": np.float32, "f16": np.float16, "f64": np.float64, "i64": np.int64,
           "i32": np.int32, "i8": np.int8, "u8": np.uint8, "bool": np.bool_}


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 256)]


class _Options(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int), ("profile", ctypes.c_int)]


class _TensorInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("rank", ctypes.c_int),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("bytes", ctypes.c_int64)]


class Tensor:
    """Name, numpy dtype and shape of an input or output."""

    def __init__(self, info):
        self.name = info.name.decode()
        self.dtype = np.dtype(_DTYPES[info.dtype.decode()])
        self.shape = tuple(info.shape[i] for i in range(info.rank))
        self.bytes = info.bytes


class Model:
    """A compiled model. `library` is libhone_runtime.so; raises RuntimeError with hone's message."""

    def __init__(self, library, path, threads=1):
        self._lib = ctypes.CDLL(library)
        self._lib.hone_model_load.restype = ctypes.c_void_p
        self._lib.hone_model_output.restype = ctypes.c_void_p
        self._error = _Error()
        options = _Options(threads=threads, profile=0)
        self._model = ctypes.c_void_p(self._lib.hone_model_load(
            path.encode(), ctypes.byref(options), ctypes.byref(self._error)))
        if not self._model:
            raise RuntimeError(self._error.message.decode())
        self.inputs = self._tensors("input")
        self.outputs = self._tensors("output")

    def _tensors(self, kind):
        tensors = []
        for i in range(getattr(self._lib, f"hone_model_{kind}_count")(self._model)):
            info = _TensorInfo()
            self._check(getattr(self._lib, f"hone_model_{kind}_info")(
                self._model, i, ctypes.byref(info), ctypes.byref(self._error)))
            tensors.append(Tensor(info))
        return tensors

    def _check(self, code):
        if code != 0:
            raise RuntimeError(self._error.message.decode())

    def set_input(self, index, array):
        array = np.ascontiguousarray(array, self.inputs[index].dtype)
        self._check(self._lib.hone_model_set_input(
            self._model, index, array.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(array.nbytes), ctypes.byref(self._error)))

    def run(self):
        self._check(self._lib.hone_model_run(self._model, ctypes.byref(self._error)))

    def output(self, index):
        tensor = self.outputs[index]
        address = self._lib.hone_model_output(self._model, index)
        buffer = (ctypes.c_char * tensor.bytes).from_address(address)
        return np.frombuffer(buffer, tensor.dtype).reshape(tensor.shape).copy()
