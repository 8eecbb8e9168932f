/* TLS by way of the ssl module: MemoryBIO for ciphertext, the object inside ssl.SSLObject for the
 * protocol. Calls that would end in SSLWantReadError are left out where the fill of the BIOs says
 * so, since raising costs more than decrypting a small record. */

#include "net/tls.h"

static Py_ssize_t
bio_pending(FioTLS *tls, PyObject *bio)
{
    PyObject *pending = PyObject_GetAttr(bio, tls->st->str_pending);
    if (pending == NULL) {
        return -1;
    }
    Py_ssize_t size = PyLong_AsSsize_t(pending);
    Py_DECREF(pending);
    return size;
}

/* The object that does the work: SSLObject's methods are Python wrappers of its methods. A
 * context's sslobject_class may have wrappers of its own. */
static PyObject *
tls_engine(FioTLS *tls)
{
    if (tls->engine == NULL) {
        PyObject *usual = fio_lazy_ssl_SSLObject(tls->st);
        if (usual == NULL) {
            return NULL;
        }
        bool wraps = (PyObject *)Py_TYPE(tls->sslobj) == usual;
        tls->engine = wraps ? PyObject_GetAttr(tls->sslobj, tls->st->str__sslobj)
                            : Py_NewRef(tls->sslobj);
    }
    return tls->engine;
}

/* True, with the exception cleared, when the library only wants more bytes. */
static bool
tls_wants_more(FioTLS *tls)
{
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *want_read = fio_lazy_ssl_SSLWantReadError(tls->st);
    PyObject *syscall = want_read == NULL ? NULL : fio_lazy_ssl_SSLSyscallError(tls->st);
    if (syscall != NULL
        && (PyErr_GivenExceptionMatches(exc, want_read)
            || PyErr_GivenExceptionMatches(exc, syscall))) {
        Py_DECREF(exc);
        return true;
    }
    PyErr_SetRaisedException(exc); /* in the place of what an import may have raised */
    return false;
}

int
fio_tls_put(FioTLS *tls, const char *data, size_t size)
{
    /* PyBUF_READ: the view does not write through the pointer. */
    PyObject *view = PyMemoryView_FromMemory(FIO_UNCONST(data), (Py_ssize_t)size, PyBUF_READ);
    if (view == NULL) {
        return -1;
    }
    PyObject *count = PyObject_CallMethodOneArg(tls->incoming, tls->st->str_write, view);
    Py_DECREF(view);
    Py_XDECREF(count);
    return count == NULL ? -1 : 0;
}

Py_ssize_t
fio_tls_waiting(FioTLS *tls)
{
    Py_ssize_t ciphertext = bio_pending(tls, tls->incoming);
    if (ciphertext < 0 || tls_engine(tls) == NULL) {
        return -1;
    }
    PyObject *pending = PyObject_CallMethodNoArgs(tls->engine, tls->st->str_pending);
    if (pending == NULL) {
        return -1;
    }
    Py_ssize_t plain = PyLong_AsSsize_t(pending);
    Py_DECREF(pending);
    return plain < 0 ? -1 : plain + ciphertext;
}

PyObject *
fio_tls_read(FioTLS *tls, Py_ssize_t room)
{
    if (tls_engine(tls) == NULL) {
        return NULL;
    }
    PyObject *size = PyLong_FromSsize_t(room);
    if (size == NULL) {
        return NULL;
    }
    PyObject *data = PyObject_CallMethodOneArg(tls->engine, tls->st->str_read, size);
    Py_DECREF(size);
    if (data == NULL && tls_wants_more(tls)) {
        Py_RETURN_NONE;
    }
    return data;
}

/* The count a read or write returned (stolen), -2 for "wants more", -1 for an exception. */
static Py_ssize_t
tls_count(FioTLS *tls, FIO_STEALS PyObject *result)
{
    if (result == NULL) {
        return tls_wants_more(tls) ? -2 : -1;
    }
    Py_ssize_t count = PyLong_AsSsize_t(result);
    Py_DECREF(result);
    return count;
}

Py_ssize_t
fio_tls_read_into(FioTLS *tls, PyObject *buffer, Py_ssize_t room)
{
    if (tls_engine(tls) == NULL) {
        return -1;
    }
    PyObject *size = PyLong_FromSsize_t(room);
    if (size == NULL) {
        return -1;
    }
    PyObject *args[] = {tls->engine, size, buffer};
    PyObject *result = PyObject_VectorcallMethod(tls->st->str_read, args, 3, NULL);
    Py_DECREF(size);
    return tls_count(tls, result);
}

Py_ssize_t
fio_tls_write(FioTLS *tls, const char *data, size_t size)
{
    if (tls_engine(tls) == NULL) {
        return -1;
    }
    PyObject *view = PyMemoryView_FromMemory(FIO_UNCONST(data), (Py_ssize_t)size, PyBUF_READ);
    if (view == NULL) {
        return -1;
    }
    PyObject *result = PyObject_CallMethodOneArg(tls->engine, tls->st->str_write, view);
    Py_DECREF(view);
    return tls_count(tls, result);
}

PyObject *
fio_tls_take(FioTLS *tls)
{
    return PyObject_CallMethodNoArgs(tls->outgoing, tls->st->str_read);
}

Py_ssize_t
fio_tls_unsent(FioTLS *tls)
{
    return bio_pending(tls, tls->outgoing);
}
