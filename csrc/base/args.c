/* One small table-driven parser of call arguments for all METH_FASTCALL functions. */

#include "base/args.h"

static int
args_put_keyword(const fio_params *params, Py_ssize_t nargs, PyObject *name, PyObject *value,
                 PyObject **out)
{
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "keywords must be strings");
        return -1;
    }
    for (Py_ssize_t i = 0; params->params[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, params->params[i]) != 0) {
            continue;
        }
        if (i < nargs) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'",
                         params->function, name);
            return -1;
        }
        out[i] = value;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", params->function,
                 name);
    return -1;
}

static int
args_put_positional(const fio_params *params, PyObject *const *args, Py_ssize_t nargs,
                    PyObject **out)
{
    if (nargs > params->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd positional argument%s (%zd given)",
                     params->function, params->positional, params->positional == 1 ? "" : "s",
                     nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        out[i] = args[i];
    }
    return 0;
}

static int
args_check_required(const fio_params *params, PyObject *const *out)
{
    for (Py_ssize_t i = 0; i < params->required; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s' (pos %zd)",
                         params->function, params->params[i], i + 1);
            return -1;
        }
    }
    return 0;
}

int
fio_args_parse(const fio_params *params, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
               PyObject **out)
{
    if (args_put_positional(params, args, nargs, out) < 0) {
        return -1;
    }
    Py_ssize_t nkw = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < nkw; i++) {
        if (args_put_keyword(params, nargs, PyTuple_GET_ITEM(kwnames, i), args[nargs + i], out)
            < 0) {
            return -1;
        }
    }
    return args_check_required(params, out);
}

int
fio_args_parse_tuple(const fio_params *params, PyObject *args, PyObject *kwargs, PyObject **out)
{
    Py_ssize_t nargs = PyTuple_GET_SIZE(args);
    if (args_put_positional(params, ((PyTupleObject *)args)->ob_item, nargs, out) < 0) {
        return -1;
    }
    PyObject *name = NULL;
    PyObject *value = NULL;
    Py_ssize_t pos = 0;
    while (kwargs != NULL && PyDict_Next(kwargs, &pos, &name, &value)) {
        if (args_put_keyword(params, nargs, name, value, out) < 0) {
            return -1;
        }
    }
    return args_check_required(params, out);
}

PyObject *
fio_args_refuse(PyObject *class, const char *method, PyObject *self, PyObject *const *args,
                Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *function = class == NULL ? NULL : PyObject_GetAttrString(class, method);
    PyObject *bound = function != NULL && PyFunction_Check(function) ? PyMethod_New(function, self)
                                                                     : NULL;
    PyErr_Clear();
    PyObject *result = bound == NULL ? NULL
                                     : PyObject_Vectorcall(bound, args, (size_t)nargs, kwnames);
    if (result != NULL || !PyErr_Occurred()) {
        Py_XDECREF(result);
        if (raised == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() takes no arguments (%zd given)", method, nargs);
        }
        else {
            PyErr_SetRaisedException(Py_NewRef(raised));
        }
    }
    Py_XDECREF(raised);
    Py_XDECREF(bound);
    Py_XDECREF(function);
    return NULL;
}

bool
fio_args_is(const char *param, PyObject *value, PyTypeObject *type, const char *what)
{
    if (PyObject_TypeCheck(value, type)) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%s must be %s, not %.200s", param, what,
                 Py_TYPE(value)->tp_name);
    return false;
}

int
fio_args_number(const char *param, PyObject *value, uint64_t most, uint64_t *number)
{
    if (value == NULL) {
        return 0;
    }
    const unsigned long long given = PyLong_AsUnsignedLongLong(value);
    if (given == (unsigned long long)-1 && PyErr_Occurred()) {
        return -1;
    }
    if (given > most) {
        PyErr_Format(PyExc_ValueError, "%s must be at most %llu, got %llu", param,
                     (unsigned long long)most, given);
        return -1;
    }
    *number = given;
    return 0;
}
