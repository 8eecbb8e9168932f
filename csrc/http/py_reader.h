#ifndef FIO_HTTP_PY_READER_H
#define FIO_HTTP_PY_READER_H

/* RequestReader: the server's own request parser as a Python object without I/O. */

#include "base/state.h"

FIO_MUST_CHECK int fio_py_reader_setup_types(PyObject *module);

#endif
