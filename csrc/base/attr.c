/* Attributes that are fields here (attr.h). The dict has for a name () where the attribute was
 * deleted, or the value that was set and what the field has shown since: as long as it does. */

#include "base/attr.h"

#include <stdbool.h>

static int
attr_no_such(PyObject *self, const fio_attr *attr)
{
    PyObject *type = PyType_GetName(Py_TYPE(self));
    if (type != NULL) {
        PyErr_Format(PyExc_AttributeError, "'%U' object has no attribute '%s'", type, attr->name);
        Py_DECREF(type);
    }
    return -1;
}

/* New, or NULL without an exception. */
static PyObject *
attr_kept(const fio_attr *attr, PyObject *aside)
{
    return aside == NULL ? NULL : Py_XNewRef(PyDict_GetItemString(aside, attr->name));
}

static bool
attr_is_deleted(PyObject *kept)
{
    return kept != NULL && PyTuple_GET_SIZE(kept) == 0;
}

PyObject *
fio_attr_get(PyObject *self, const fio_attr *attr, PyObject *aside)
{
    PyObject *kept = attr_kept(attr, aside);
    if (FIO_LIKELY(kept == NULL)) {
        return attr->get(self, attr->closure);
    }
    PyObject *value = NULL;
    if (!attr_is_deleted(kept)) {
        value = attr->get(self, attr->closure);
        if (value == PyTuple_GET_ITEM(kept, 1)) {
            Py_SETREF(value, Py_NewRef(PyTuple_GET_ITEM(kept, 0)));
        }
    }
    else {
        (void)attr_no_such(self, attr);
    }
    Py_DECREF(kept);
    return value;
}

/* Puts `kept` into the dict; NULL: takes what is there out of it. */
static int
attr_keep(const fio_attr *attr, FIO_STEALS PyObject *kept, PyObject **aside)
{
    int result = 0;
    if (kept != NULL && *aside == NULL) {
        *aside = PyDict_New();
        result = *aside == NULL ? -1 : 0;
    }
    if (kept != NULL && result == 0) {
        result = PyDict_SetItemString(*aside, attr->name, kept);
    }
    else if (*aside != NULL && PyDict_GetItemString(*aside, attr->name) != NULL) {
        result = PyDict_DelItemString(*aside, attr->name);
    }
    Py_XDECREF(kept);
    return result;
}

static int
attr_delete(PyObject *self, const fio_attr *attr, PyObject **aside)
{
    PyObject *kept = attr_kept(attr, *aside);
    bool again = attr_is_deleted(kept);
    Py_XDECREF(kept);
    if (again && (attr->traits & FIO_ATTR_SLOT) != 0) {
        PyErr_SetString(PyExc_AttributeError, attr->name);
        return -1;
    }
    if (again) {
        return attr_no_such(self, attr);
    }
    PyObject *deleted = PyTuple_New(0);
    return deleted == NULL ? -1 : attr_keep(attr, deleted, aside);
}

int
fio_attr_set(PyObject *self, const fio_attr *attr, PyObject *value, PyObject **aside)
{
    if (value == NULL) {
        return attr_delete(self, attr, aside);
    }
    if (attr->set(self, value, attr->closure) < 0) {
        return -1;
    }
    if ((attr->traits & FIO_ATTR_FLAG) == 0 || PyBool_Check(value)) {
        return attr_keep(attr, NULL, aside);
    }
    PyObject *shown = attr->get(self, attr->closure);
    PyObject *kept = shown == NULL ? NULL : PyTuple_Pack(2, value, shown);
    Py_XDECREF(shown);
    return kept == NULL ? -1 : attr_keep(attr, kept, aside);
}
