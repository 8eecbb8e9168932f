#ifndef FIO_SERVER_JSON_H
#define FIO_SERVER_JSON_H

/* JSON text of plain Python data, as json.dumps() of the standard library writes it by default. */

#include "base/base.h"

/* Writes `data` where it is made of exact dict (with str keys), list, tuple, str, int, float, bool
 * and None, not nested deeply: 0 and a new str in *text. 1 where it holds anything else, whose text
 * or error json.dumps() has to find. -1 with MemoryError set. No Python code runs in here. */
FIO_MUST_CHECK int fio_json_dumps(PyObject *data, PyObject **text);

#endif
