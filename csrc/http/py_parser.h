#ifndef FIO_HTTP_PY_PARSER_H
#define FIO_HTTP_PY_PARSER_H

/* HttpRequestParser and HttpResponseParser, with httptools' interface, and the exceptions that all
 * of fastaio.http raises. */

#include "base/state.h"

FIO_MUST_CHECK int fio_py_parser_setup_types(PyObject *module);

#endif
