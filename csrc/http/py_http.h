#ifndef FIO_HTTP_PY_HTTP_H
#define FIO_HTTP_PY_HTTP_H

/* All Python types and functions of the room. */

#include "base/base.h"

FIO_MUST_CHECK int fio_http_setup_types(PyObject *module);

#endif
