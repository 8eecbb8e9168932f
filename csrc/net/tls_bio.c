/* TLS by way of the ssl module: MemoryBIO for ciphertext, the object inside ssl.SSLObject for the
 * protocol. Calls that would end in SSLWantReadError are left out where the fill of the BIOs says
 * so, since raising costs more than decrypting a small record. */

#include "net/tls.h"

/* A number of bytes (stolen); -1: exception set. */
static Py_ssize_t
bio_count(FIO_STEALS PyObject *number)
{
    if (number == NULL) {
        return -1;
    }
    Py_ssize_t size = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    if (size < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "an SSL object counts no bytes below zero");
    }
    return size < 0 ? -1 : size;
}

/* bytes (stolen) as they are, TypeError for anything else. */
static PyObject *
bio_bytes(FIO_STEALS PyObject *data)
{
    if (data != NULL && !PyBytes_Check(data)) {
        PyErr_Format(PyExc_TypeError, "an SSL object gives bytes, not %.200s",
                     Py_TYPE(data)->tp_name);
        Py_CLEAR(data);
    }
    return data;
}

/* What SSLProtocol.__init__() sets, for a call of it: a new reference. */
static PyObject *
bio_of(PyObject *member)
{
    if (member == NULL) {
        PyErr_SetString(PyExc_AttributeError, "an attribute of the TLS protocol was deleted");
    }
    return Py_XNewRef(member);
}

static Py_ssize_t
bio_pending(FioTLS *tls, PyObject *member)
{
    PyObject *bio = bio_of(member);
    PyObject *pending = bio == NULL ? NULL : PyObject_GetAttr(bio, tls->st->str_pending);
    Py_XDECREF(bio);
    return bio_count(pending);
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
        PyObject *sslobj = bio_of(tls->sslobj);
        if (sslobj == NULL) {
            return NULL;
        }
        /* One of the program's may keep what it is given. */
        tls->engine_keeps = (PyObject *)Py_TYPE(sslobj) != usual;
        PyObject *engine = tls->engine_keeps ? Py_NewRef(sslobj)
                                             : PyObject_GetAttr(sslobj, tls->st->str__sslobj);
        Py_DECREF(sslobj);
        Py_XSETREF(tls->engine, engine);
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
    PyObject *bio = bio_of(tls->incoming);
    if (bio == NULL) {
        return -1;
    }
    /* PyBUF_READ: the view does not write through the pointer. */
    PyObject *view = PyMemoryView_FromMemory(FIO_UNCONST(data), (Py_ssize_t)size, PyBUF_READ);
    PyObject *count = NULL;
    if (view != NULL) {
        count = PyObject_CallMethodOneArg(bio, tls->st->str_write, view);
        Py_DECREF(view);
    }
    Py_DECREF(bio);
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
    Py_ssize_t plain = bio_count(PyObject_CallMethodNoArgs(tls->engine, tls->st->str_pending));
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
    return bio_bytes(data);
}

/* The count a read or write returned (stolen), -2 for "wants more", -1 for an exception. */
static Py_ssize_t
tls_count(FioTLS *tls, FIO_STEALS PyObject *result)
{
    if (result == NULL) {
        return tls_wants_more(tls) ? -2 : -1;
    }
    return bio_count(result);
}

/* The same by way of an object of its own. */
static Py_ssize_t
tls_read_copy(FioTLS *tls, char *place, Py_ssize_t room)
{
    PyObject *data = fio_tls_read(tls, room);
    if (data == NULL || data == Py_None) {
        Py_XDECREF(data);
        return data == NULL ? -1 : -2;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(data);
    if (size > room) {
        PyErr_SetString(PyExc_ValueError, "an SSL object has read more than was asked for");
        size = -1;
    }
    else {
        memcpy(place, PyBytes_AS_STRING(data), (size_t)size);
    }
    Py_DECREF(data);
    return size;
}

Py_ssize_t
fio_tls_read_into(FioTLS *tls, char *place, Py_ssize_t room)
{
    if (tls_engine(tls) == NULL) {
        return -1;
    }
    if (tls->engine_keeps) {
        return tls_read_copy(tls, place, room);
    }
    PyObject *view = PyMemoryView_FromMemory(place, room, PyBUF_WRITE);
    PyObject *size = view == NULL ? NULL : PyLong_FromSsize_t(room);
    if (size == NULL) {
        Py_XDECREF(view);
        return -1;
    }
    PyObject *args[] = {tls->engine, size, view};
    PyObject *result = PyObject_VectorcallMethod(tls->st->str_read, args, 3, NULL);
    Py_DECREF(size);
    Py_DECREF(view);
    return tls_count(tls, result);
}

Py_ssize_t
fio_tls_write(FioTLS *tls, const char *data, size_t size)
{
    if (tls_engine(tls) == NULL) {
        return -1;
    }
    PyObject *view = tls->engine_keeps
                         ? PyBytes_FromStringAndSize(data, (Py_ssize_t)size)
                         : PyMemoryView_FromMemory(FIO_UNCONST(data), (Py_ssize_t)size, PyBUF_READ);
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
    PyObject *bio = bio_of(tls->outgoing);
    PyObject *data = bio == NULL ? NULL : PyObject_CallMethodNoArgs(bio, tls->st->str_read);
    Py_XDECREF(bio);
    return bio_bytes(data);
}

Py_ssize_t
fio_tls_unsent(FioTLS *tls)
{
    return bio_pending(tls, tls->outgoing);
}
