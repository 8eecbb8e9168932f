#ifndef FIO_HTTP_PY_MULTIPART_H
#define FIO_HTTP_PY_MULTIPART_H

/* MultipartParser: the multipart codec as a Python object. */

#include "base/state.h"

FIO_MUST_CHECK int fio_py_multipart_setup_types(PyObject *module);

#endif
