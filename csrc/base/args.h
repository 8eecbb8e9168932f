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

/* The one argument of a function that takes `param` by position or by name (borrowed), for those
 * too hot for a table. NULL: TypeError is set. */
FIO_MUST_CHECK FIO_BORROWED static inline PyObject *
fio_args_one(const char *function, const char *param, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    if (FIO_LIKELY(nargs == 1 && kwnames == NULL)) {
        return args[0];
    }
    const char *const names[] = {param, NULL};
    const fio_params params = {function, names, 1, 1};
    PyObject *given[] = {NULL};
    return fio_args_parse(&params, args, nargs, kwnames, given) < 0 ? NULL : given[0];
}

/* NULL for None: an argument that was left out. */
static inline PyObject *
fio_none_as_null(PyObject *value)
{
    return value == Py_None ? NULL : value;
}

/* TypeError "PARAM must be WHAT, not TYPE" and false unless `value` is of that type. */
FIO_MUST_CHECK bool fio_args_is(const char *param, PyObject *value, PyTypeObject *type,
                                const char *what);

/* A number of 0 to `most` in *number, which stays as it is for NULL; else TypeError, OverflowError
 * or ValueError "PARAM must be at most MOST, got NUMBER" and -1. */
FIO_MUST_CHECK int fio_args_number(const char *param, PyObject *value, uint64_t most,
                                   uint64_t *number);

/* A method of ours that stands for one of asyncio's was called in a wrong way: has Python say so of
 * that one, asyncio's function of the name, which cannot begin with these arguments. Whatever is
 * raised already is raised where there is no such function. Always NULL. */
FIO_COLD PyObject *fio_args_refuse(PyObject *class, const char *method, PyObject *self,
                                   PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* Defines `function`_call for a method table (METH_FASTCALL | METH_KEYWORDS): METH_NOARGS, whose
 * `function` it calls, would have CPython refuse arguments in other words. */
#define FIO_NO_ARGUMENTS(storage, function, type, refuse, name)                                \
    storage PyObject *function##_call(type *self, PyObject *const *args, Py_ssize_t nargs,     \
                                      PyObject *kwnames)                                       \
    {                                                                                          \
        if (FIO_UNLIKELY(nargs != 0 || (kwnames != NULL && PyTuple_GET_SIZE(kwnames) != 0))) { \
            return refuse(self, name, args, nargs, kwnames);                                   \
        }                                                                                      \
        return function(self, NULL);                                                           \
    }

/* tp_init / tp_new flavour: a tuple and a dict (or NULL) instead of the vector. */
FIO_MUST_CHECK int fio_args_parse_tuple(const fio_params *params, PyObject *args, PyObject *kwargs,
                                        PyObject **out);

#endif
