/* Snapshots of the current context. Whether one is still current is seen by the variables, a map
 * that is never changed but replaced: two contexts with the same map are copies of each other. The
 * map is no part of Python's API, so its place is tried out when the module is loaded. */

#include "base/context.h"

/* The beginning of CPython's PyContext (Include/internal/pycore_context.h), the same from 3.7 on.
 */
typedef struct {
    PyObject_HEAD
    PyObject *previous;
    PyObject *variables;
} context_head;

static PyObject *
context_variables(PyObject *context)
{
    return ((context_head *)context)->variables;
}

static bool
context_is_current(PyObject *context)
{
    PyObject *current = PyThreadState_Get()->context;
    return current != NULL && context_variables(current) == context_variables(context);
}

PyObject *
fio_context_snapshot(fio_state *st, fio_snapshot *last)
{
    if (last->context != NULL && context_is_current(last->context)) {
        return Py_NewRef(last->context);
    }
    PyObject *context = PyContext_CopyCurrent();
    if (context != NULL && st->tells_contexts) {
        Py_XSETREF(last->context, Py_NewRef(context));
    }
    return context;
}

int
fio_context_own(fio_snapshot *last, PyObject **context)
{
    if (last->context == *context && Py_REFCNT(*context) == 2) {
        Py_CLEAR(last->context); /* the caller is its only user */
        return 0;
    }
    if (Py_REFCNT(*context) == 1) {
        return 0;
    }
    PyObject *copy = PyContext_Copy(*context);
    if (copy == NULL) {
        return -1;
    }
    Py_SETREF(*context, copy);
    return 0;
}

void
fio_context_drop(fio_snapshot *last, PyObject *context)
{
    if (last->context == context && Py_REFCNT(context) == 2) {
        Py_CLEAR(last->context); /* it shall not keep the variables' values alive */
    }
    Py_DECREF(context);
}

/* Does the map stand where we look for it: shared by a copy, replaced when a variable is set? */
static int
context_probe(PyObject *context, PyObject *copy, PyObject *variable)
{
    const char *type = Py_TYPE(context_variables(context))->tp_name;
    if (strcmp(type, "hamt") != 0 || context_variables(context) != context_variables(copy)) {
        return 0;
    }
    if (PyContext_Enter(copy) < 0) {
        return -1;
    }
    PyObject *token = PyContextVar_Set(variable, Py_None);
    if (PyContext_Exit(copy) < 0) {
        Py_CLEAR(token);
    }
    if (token == NULL) {
        return -1;
    }
    Py_DECREF(token);
    return context_variables(context) != context_variables(copy);
}

int
fio_context_setup(fio_state *st)
{
    st->tells_contexts = false;
    if (!FIO_FREELISTS) {
        return 0; /* counting who uses a snapshot takes the GIL */
    }
    PyObject *variable = PyContextVar_New("fastaio", NULL);
    PyObject *context = variable == NULL ? NULL : PyContext_CopyCurrent();
    PyObject *copy = context == NULL ? NULL : PyContext_Copy(context);
    int known = copy == NULL ? -1 : context_probe(context, copy, variable);
    st->tells_contexts = known == 1;
    Py_XDECREF(copy);
    Py_XDECREF(context);
    Py_XDECREF(variable);
    return known < 0 ? -1 : 0;
}
