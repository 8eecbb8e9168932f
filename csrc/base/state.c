/* The module's state: made from the lists in state.h when the module is imported, visited and
 * cleared with it. */

#include "base/state.h"

/* `attribute` is a dotted path below the module. */
static PyObject *
import_attribute(const char *module_name, const char *attribute)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *value = module;
    const char *name = attribute;
    while (value != NULL && *name != '\0') {
        size_t size = strcspn(name, ".");
        PyObject *part = PyUnicode_FromStringAndSize(name, (Py_ssize_t)size);
        PyObject *next = part == NULL ? NULL : PyObject_GetAttr(value, part);
        Py_XDECREF(part);
        Py_SETREF(value, next);
        name += size + (name[size] == '.');
    }
    return value;
}

int
fio_state_init(fio_state *st)
{
#define X(name)                                         \
    st->str_##name = PyUnicode_InternFromString(#name); \
    if (st->str_##name == NULL) {                       \
        return -1;                                      \
    }
    FIO_STATE_NAMES(X)
#undef X
#define X(field, text)                                  \
    st->str_##field = PyUnicode_InternFromString(text); \
    if (st->str_##field == NULL) {                      \
        return -1;                                      \
    }
    FIO_STATE_TEXTS(X)
#undef X
#define X(field, module, attribute)                  \
    st->field = import_attribute(module, attribute); \
    if (st->field == NULL) {                         \
        return -1;                                   \
    }
    FIO_STATE_IMPORTS(X)
#undef X
#define X(name)                       \
    st->pool_##name = fio_pool_new(); \
    if (st->pool_##name == NULL) {    \
        return -1;                    \
    }
    FIO_STATE_POOLS(X)
#undef X
    st->number_0 = PyLong_FromLong(0);
    st->number_200 = PyLong_FromLong(200);
    return st->number_0 == NULL || st->number_200 == NULL ? -1 : 0;
}

PyObject *
fio_state_import(PyObject **field, const char *module, const char *attribute)
{
    PyObject *value = import_attribute(module, attribute);
    PyObject *first = NULL;
    if (value != NULL
        && !__atomic_compare_exchange_n(field, &first, value, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
        /* Another thread, or code that the import ran, came here before. */
        Py_DECREF(value);
        value = first;
    }
    return value;
}

int
fio_state_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec, PyObject *bases)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, bases);
    if (type == NULL) {
        return -1;
    }
    Py_XSETREF(*slot, (PyTypeObject *)type);
    return PyModule_AddType(module, *slot);
}

int
fio_state_traverse(fio_state *st, visitproc visit, void *arg)
{
#define X(name) Py_VISIT(st->name##Type);
    FIO_STATE_TYPES(X)
#undef X
#define X(name) Py_VISIT(st->str_##name);
    FIO_STATE_NAMES(X)
#undef X
#define X(field, text) Py_VISIT(st->str_##field);
    FIO_STATE_TEXTS(X)
#undef X
#define X(field) Py_VISIT(st->field);
    FIO_STATE_OBJECTS(X)
#undef X
#define X(field, module, attribute) Py_VISIT(st->field);
    FIO_STATE_IMPORTS(X)
    FIO_STATE_LAZY(X)
#undef X
    return 0;
}

int
fio_state_clear(fio_state *st)
{
#define X(name) Py_CLEAR(st->name##Type);
    FIO_STATE_TYPES(X)
#undef X
#define X(name) Py_CLEAR(st->str_##name);
    FIO_STATE_NAMES(X)
#undef X
#define X(field, text) Py_CLEAR(st->str_##field);
    FIO_STATE_TEXTS(X)
#undef X
#define X(field) Py_CLEAR(st->field);
    FIO_STATE_OBJECTS(X)
#undef X
#define X(field, module, attribute) Py_CLEAR(st->field);
    FIO_STATE_IMPORTS(X)
    FIO_STATE_LAZY(X)
#undef X
#define X(name)                      \
    fio_pool_close(st->pool_##name); \
    st->pool_##name = NULL;
    FIO_STATE_POOLS(X)
#undef X
    return 0;
}
