/* Uncounted objects: PyObject_GC_New() without its count. In front of an object the collector has
 * two words, which are zero while it is not tracked; that it is so is seen before it is relied on.
 */

#include "base/gc.h"

#define GC_HEAD_SIZE (2 * sizeof(uintptr_t))

/* What the interpreter keeps in front of a list: sys.getsizeof() has it, list.__sizeof__() not. */
static Py_ssize_t
head_size(void)
{
    PyObject *list = PyList_New(0);
    PyObject *getsizeof = PySys_GetObject("getsizeof");
    PyObject *all = list == NULL || getsizeof == NULL ? NULL : PyObject_CallOneArg(getsizeof, list);
    PyObject *own = all == NULL ? NULL : PyObject_CallMethod(list, "__sizeof__", NULL);
    Py_ssize_t size = own == NULL ? 0 : PyLong_AsSsize_t(all) - PyLong_AsSsize_t(own);
    Py_XDECREF(list);
    Py_XDECREF(all);
    Py_XDECREF(own);
    return PyErr_Occurred() ? -1 : size;
}

int
fio_gc_setup(fio_state *st)
{
    Py_ssize_t size = FIO_GIL ? head_size() : 0;
    st->gc_head = size == (Py_ssize_t)GC_HEAD_SIZE ? GC_HEAD_SIZE : 0;
    return size < 0 ? -1 : 0;
}

PyObject *
fio_gc_new(size_t head, PyTypeObject *type)
{
    if (FIO_UNLIKELY(head == 0)) {
        return PyObject_GC_New(PyObject, type);
    }
    char *memory = PyObject_Malloc(GC_HEAD_SIZE + (size_t)type->tp_basicsize);
    if (memory == NULL) {
        return PyErr_NoMemory();
    }
    memset(memory, 0, GC_HEAD_SIZE);
    return PyObject_Init((PyObject *)(void *)(memory + GC_HEAD_SIZE), type);
}

void
fio_gc_del(size_t head, void *self)
{
    if (FIO_UNLIKELY(head == 0)) {
        PyObject_GC_Del(self);
    }
    else {
        PyObject_Free((char *)self - GC_HEAD_SIZE);
    }
}
