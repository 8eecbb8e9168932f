/* The module's state: made from the lists in state.h when the module is imported, visited and
 * cleared with it. */

#include "base/state.h"

static PyObject *
import_attribute(const char *module_name, const char *attribute)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *value = PyObject_GetAttrString(module, attribute);
    Py_DECREF(module);
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
#define X(field, module, attribute)                  \
    st->field = import_attribute(module, attribute); \
    if (st->field == NULL) {                         \
        return -1;                                   \
    }
    FIO_STATE_IMPORTS(X)
#undef X
    return 0;
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
#define X(field, module, attribute) Py_VISIT(st->field);
    FIO_STATE_IMPORTS(X)
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
#define X(field, module, attribute) Py_CLEAR(st->field);
    FIO_STATE_IMPORTS(X)
#undef X
    return 0;
}
