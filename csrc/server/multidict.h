#ifndef FIO_SERVER_MULTIDICT_H
#define FIO_SERVER_MULTIDICT_H

/* The multidict package's dictionaries, made through its C API where that is there (its C build,
 * from 7.0 on) and through its types otherwise. */

#include "base/state.h"

typedef enum {
    FIO_MULTIDICT,   /* MultiDict */
    FIO_CIMULTIDICT, /* CIMultiDict: the case of its keys does not count */
} fio_multidict_kind;

/* An empty dictionary that `size` pairs will be added to, 0 where that is not known. */
PyObject *fio_multidict_new(fio_state *st, fio_multidict_kind kind, Py_ssize_t size);

/* dict.add(key, value); both may be NULL with an exception set. */
FIO_MUST_CHECK int fio_multidict_add(fio_state *st, PyObject *dict, FIO_STEALS PyObject *key,
                                     FIO_STEALS PyObject *value);

/* The read-only view of `dict`, which is taken over and may be NULL with an exception set. */
PyObject *fio_multidict_proxy(fio_state *st, fio_multidict_kind kind, FIO_STEALS PyObject *dict);

#endif
