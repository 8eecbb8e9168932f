#ifndef FIO_BASE_ARGS_H
#define FIO_BASE_ARGS_H

#include "base/base.h"

/* What a METH_FASTCALL | METH_KEYWORDS function takes; one constant table a function. */
typedef struct {
    const char *function;      /* for messages, without parentheses */
    const char *const *params; /* names in order, ends with NULL */
    Py_ssize_t positional;     /* how many of the first may be given by position */
    Py_ssize_t required;       /* how many of the first must be given */
} fio_params;

/* Fills out[i] (borrowed) for every parameter given and leaves the others as they are: preset the
 * required ones with NULL, the others with NULL or a default. Raises TypeError in CPython's words.
 */
FIO_MUST_CHECK int fio_args_parse(const fio_params *params, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *kwnames, PyObject **out);

/* tp_init / tp_new flavour: a tuple and a dict (or NULL) instead of the vector. */
FIO_MUST_CHECK int fio_args_parse_tuple(const fio_params *params, PyObject *args, PyObject *kwargs,
                                        PyObject **out);

#endif
