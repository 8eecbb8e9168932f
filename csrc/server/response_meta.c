/* _core.ResponseMeta, the metaclass of fastaio.web.StreamResponse and its subclasses. aiohttp's
 * HTTPException is a Response and an Exception at once, which two C structs cannot be; here it is
 * an Exception that holds its Response in the attribute __http_response__, and this metaclass makes
 * isinstance() and issubclass() say of it what they say in aiohttp. Classes made by it are called
 * as fast as others: it inherits type's vectorcall. */

#include "server/response_parts.h"

/* The attribute __http_response__ of an exception (class), or NULL. *failed: exception set. */
static PyObject *
held_response(fio_state *st, PyObject *object, bool *failed)
{
    PyObject *held = NULL;
    *failed = PyObject_GetOptionalAttr(object, st->str___http_response__, &held) < 0;
    return held;
}

static PyObject *
meta_instancecheck(PyObject *self, PyObject *object)
{
    PyTypeObject *cls = (PyTypeObject *)self;
    bool yes = PyObject_TypeCheck(object, cls);
    if (!yes && PyExceptionInstance_Check(object)) {
        bool failed = false;
        PyObject *held = held_response(fio_state_of_type(Py_TYPE(self)), object, &failed);
        if (failed) {
            return NULL;
        }
        yes = held != NULL && PyObject_TypeCheck(held, cls);
        Py_XDECREF(held);
    }
    return PyBool_FromLong(yes);
}

static PyObject *
meta_subclasscheck(PyObject *self, PyObject *other)
{
    if (!PyType_Check(other)) {
        return PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasscheck__", "OO", self,
                                   other);
    }
    PyTypeObject *cls = (PyTypeObject *)self;
    bool yes = PyType_IsSubtype((PyTypeObject *)other, cls);
    if (!yes && PyExceptionClass_Check(other)) {
        /* The class attribute of the same name is the class of the responses it holds. */
        bool failed = false;
        PyObject *held = held_response(fio_state_of_type(Py_TYPE(self)), other, &failed);
        if (failed) {
            return NULL;
        }
        yes = held != NULL && PyType_Check(held) && PyType_IsSubtype((PyTypeObject *)held, cls);
        Py_XDECREF(held);
    }
    return PyBool_FromLong(yes);
}

static PyMethodDef meta_methods[] = {
    {"__instancecheck__", meta_instancecheck, METH_O, NULL},
    {"__subclasscheck__", meta_subclasscheck, METH_O, NULL},
    {NULL},
};

static PyType_Slot meta_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The type of response classes, of which HTTP exceptions count as "
                            "instances.")},
    {Py_tp_methods, meta_methods},
    {0, NULL},
};

static PyType_Spec meta_spec = {
    .name = "fastaio._core.ResponseMeta",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = meta_slots,
};

int
fio_response_meta_setup(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->ResponseMetaType, &meta_spec, (PyObject *)&PyType_Type);
}
