/* The body of a FileResponse where sendfile() is not possible (another event loop's transport, a
 * compressed or chunked body): an awaitable that reads a piece, awaits response.write() of it, and
 * so on, and in the end response.write_eof(). Reading is done on the loop's thread: a piece of a
 * local file takes less time than handing it to another thread and back. */

#include "base/aio.h"
#include "server/response_parts.h"

#include <unistd.h>

/* Bytes read at once: aiohttp's chunk_size. */
#define PIECE_SIZE (256 * 1024)

typedef struct {
    PyObject_HEAD
    FioResponse *response; /* owned */
    PyObject *inner;       /* owned: iterator of the write() being awaited, or NULL */
    bool ended;            /* write_eof() was called */
} FioFileSend;

PyObject *
fio_file_send_rest(FioResponse *response)
{
    FioFileSend *self = PyObject_GC_New(FioFileSend, response->st->FileSendType);
    if (self == NULL) {
        return NULL;
    }
    self->response = (FioResponse *)Py_NewRef((PyObject *)response);
    self->inner = NULL;
    self->ended = false;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

/* The next piece of the file, as bytes; the response's place in it moves on. */
static PyObject *
read_piece(FioResponse *response)
{
    const fio_file *file = response->file;
    Py_ssize_t size = response->file_left < PIECE_SIZE ? (Py_ssize_t)response->file_left
                                                       : PIECE_SIZE;
    const char *content = NULL;
    if (file->content != NULL) {
        content = PyBytes_AS_STRING(file->content) + response->file_offset;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(content, size);
    if (bytes == NULL) {
        return NULL;
    }
    ssize_t got = size;
    if (content == NULL) {
        got = pread(file->fd, PyBytes_AS_STRING(bytes), (size_t)size, response->file_offset);
        if (got < 0) {
            Py_DECREF(bytes);
            return PyErr_SetFromErrno(PyExc_OSError);
        }
    }
    if (got < size && _PyBytes_Resize(&bytes, got) < 0) {
        return NULL;
    }
    response->file_offset += got;
    /* A file that became shorter ends here; the answer's length tells the client. */
    response->file_left = got == 0 ? 0 : response->file_left - got;
    return bytes;
}

/* The iterator of what is to be awaited next. */
static PyObject *
next_step(FioFileSend *self)
{
    FioResponse *response = self->response;
    fio_state *st = response->st;
    if (response->file_left == 0) {
        self->ended = true;
        return fio_await_iterator(
            PyObject_CallMethodNoArgs((PyObject *)response, st->str_write_eof));
    }
    PyObject *piece = read_piece(response);
    if (piece == NULL) {
        return NULL;
    }
    PyObject *awaitable = PyObject_CallMethodOneArg((PyObject *)response, st->str_write, piece);
    Py_DECREF(piece);
    return fio_await_iterator(awaitable);
}

static PySendResult
file_send_am_send(FioFileSend *self, PyObject *sent, PyObject **result)
{
    *result = NULL;
    FIO_HOLD_PREPARED(self->response);
    for (;;) {
        if (self->inner == NULL) {
            if (self->ended) {
                *result = Py_NewRef((PyObject *)self->response);
                return PYGEN_RETURN;
            }
            self->inner = next_step(self);
            if (self->inner == NULL) {
                return PYGEN_ERROR;
            }
            sent = Py_None;
        }
        PyObject *value = NULL;
        PyObject *inner = Py_NewRef(self->inner);
        PySendResult status = PyIter_Send(inner, sent, &value);
        Py_DECREF(inner);
        if (status == PYGEN_NEXT) {
            *result = value;
            return PYGEN_NEXT;
        }
        Py_CLEAR(self->inner);
        Py_XDECREF(value);
        if (status == PYGEN_ERROR) {
            return PYGEN_ERROR;
        }
    }
}

static int
file_send_traverse(FioFileSend *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->response);
    Py_VISIT(self->inner);
    return 0;
}

static int
file_send_clear(FioFileSend *self)
{
    /* `response` stays: the methods count on it. */
    Py_CLEAR(self->inner);
    return 0;
}

static void
file_send_dealloc(FioFileSend *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)file_send_clear(self);
    Py_DECREF((PyObject *)self->response);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot file_send_slots[] = {
    {Py_tp_doc, FIO_UNCONST("The awaitable that sends the body of a FileResponse piece by piece.")},
    {Py_tp_dealloc, file_send_dealloc},
    {Py_tp_traverse, file_send_traverse},
    {Py_tp_clear, file_send_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, fio_iternext_by_send},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, file_send_am_send},
    {0, NULL},
};

static PyType_Spec file_send_spec = {
    .name = "fastaio._core.FileSend",
    .basicsize = sizeof(FioFileSend),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = file_send_slots,
};

int
fio_file_send_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->FileSendType, &file_send_spec, NULL);
}
