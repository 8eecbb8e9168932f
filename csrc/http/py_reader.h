#ifndef FIO_HTTP_PY_READER_H
#define FIO_HTTP_PY_READER_H

/* RequestReader: the server's own request parser as a Python object without I/O; and the exception
 * for what codecs refuse. */

#include "base/state.h"

/* A new HttpRequestError for a codec's FIO_E* `result`. */
FIO_MUST_CHECK PyObject *fio_request_error_new(const fio_state *st, int result, const char *reason);

FIO_MUST_CHECK int fio_py_reader_setup_types(PyObject *module);

#endif
