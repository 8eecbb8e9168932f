/* MultipartParser: bytes of a multipart body in, heads of parts and their content out. */

#include "http/py_multipart.h"

#include "base/args.h"
#include "base/buf.h"
#include "http/multipart.h"
#include "http/py_reader.h"

typedef struct {
    PyObject_HEAD
    fio_multipart multipart;
    fio_buf pending; /* owned: bytes that were fed and could not be used yet */
    bool done;
    int failure; /* FIO_E* that every further call says again, or 0 */
} FioMultipartParser;

static int
emit(PyObject *events, FIO_STEALS PyObject *event)
{
    const int result = event == NULL ? -1 : PyList_Append(events, event);
    Py_XDECREF(event);
    return result;
}

static PyObject *
fields_list(const fio_part *part, const char *base)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < part->field_count; i++) {
        const fio_view name = fio_span_view(base, part->fields[i].name);
        const fio_view value = fio_span_view(base, part->fields[i].value);
        if (emit(list, Py_BuildValue("y#y#", name.base, (Py_ssize_t)name.size, value.base,
                                     (Py_ssize_t)value.size))
            < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static int
emit_result(PyObject *events, int result, const char *base, fio_view piece, const fio_part *part)
{
    switch (result) {
    case FIO_MULTIPART_PART:
        return emit(events, fields_list(part, base));
    case FIO_MULTIPART_DATA:
        return emit(events, PyBytes_FromStringAndSize(piece.base, (Py_ssize_t)piece.size));
    case FIO_MULTIPART_END:
        return emit(events, Py_NewRef(Py_None));
    default:
        return 0;
    }
}

static int
multipart_raise(FioMultipartParser *self)
{
    const fio_state *st = fio_state_of_type(Py_TYPE(self));
    PyObject *exc = fio_request_error_new(st, self->failure, self->multipart.error);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
        Py_DECREF(exc);
    }
    return -1;
}

static int
multipart_read(FioMultipartParser *self, PyObject *events)
{
    fio_part part;
    int result = FIO_MULTIPART_PART;
    while (result != FIO_MULTIPART_MORE && result != FIO_MULTIPART_DONE) {
        size_t used = 0;
        fio_view piece = {NULL, 0};
        const char *data = fio_buf_data(&self->pending);
        const size_t size = fio_buf_size(&self->pending);
        result = fio_multipart_next(&self->multipart, data, size, &used, &piece, &part);
        if (result < 0) {
            self->failure = result;
            return multipart_raise(self);
        }
        if (emit_result(events, result, data, piece, &part) < 0) {
            return -1;
        }
        fio_buf_take(&self->pending, used);
    }
    self->done = result == FIO_MULTIPART_DONE;
    return 0;
}

PyDoc_STRVAR(
    multipart_feed_doc,
    "feed($self, data, /)\n--\n\n"
    "Read on in the bytes-like `data`; returns a list of what it completed: the headers of a\n"
    "part as a list of pairs of bytes, pieces of its content as bytes, None where it ends,\n"
    "then the next part's headers. Bytes behind the last part are dropped.\n\n"
    "Raises HttpRequestError, also in every later call, for a malformed body (status 400)\n"
    "and for one over a limit (413).");

static PyObject *
multipart_feed(FioMultipartParser *self, PyObject *data)
{
    FIO_HOLD(self);
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const int added = self->done ? 0
                                 : fio_buf_append(&self->pending, buffer.buf, (size_t)buffer.len);
    PyBuffer_Release(&buffer);
    if (added < 0) {
        return NULL;
    }
    if (self->failure != 0) {
        (void)multipart_raise(self);
        return NULL;
    }
    PyObject *events = PyList_New(0);
    if (events != NULL && multipart_read(self, events) < 0) {
        Py_CLEAR(events);
    }
    return events;
}

PyDoc_STRVAR(multipart_close_doc,
             "close($self, /)\n--\n\n"
             "The body has ended: raises HttpRequestError if its last part has not.");

static PyObject *
multipart_close(FioMultipartParser *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(self);
    if (self->done) {
        Py_RETURN_NONE;
    }
    if (self->failure == 0) {
        self->failure = FIO_E_BAD_REQUEST;
        self->multipart.error = "multipart body ends within a part";
    }
    (void)multipart_raise(self);
    return NULL;
}

static PyObject *
multipart_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"boundary", "parts", "head", NULL};
    static const fio_params params = {"MultipartParser", names, 1, 1};
    PyObject *given[] = {NULL, NULL, NULL};
    uint64_t parts = fio_multipart_limits_default.parts;
    uint64_t head = fio_multipart_limits_default.head;
    if (fio_args_parse_tuple(&params, args, kwargs, given) < 0
        || fio_args_number("parts", given[1], INT32_MAX, &parts) < 0
        || fio_args_number("head", given[2], INT32_MAX, &head) < 0) {
        return NULL;
    }
    const fio_multipart_limits limits = {.parts = (uint32_t)parts, .head = (uint32_t)head};
    Py_buffer buffer;
    if (PyObject_GetBuffer(given[0], &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    FioMultipartParser *self = (FioMultipartParser *)type->tp_alloc(type, 0);
    if (self != NULL
        && !fio_multipart_start(&self->multipart, (fio_view){buffer.buf, (size_t)buffer.len},
                                &limits)) {
        PyErr_SetString(PyExc_ValueError, "boundary must be 1 to 70 visible characters");
        Py_CLEAR(self);
    }
    PyBuffer_Release(&buffer);
    return (PyObject *)self;
}

static int
multipart_traverse(FioMultipartParser *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void
multipart_dealloc(FioMultipartParser *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fio_buf_free(&self->pending);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef multipart_methods[] = {
    {"feed", (PyCFunction)multipart_feed, METH_O, multipart_feed_doc},
    {"close", (PyCFunction)multipart_close, METH_NOARGS, multipart_close_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef multipart_members[] = {
    {"done", T_BOOL, offsetof(FioMultipartParser, done), READONLY, "the last part has ended"},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(multipart_doc,
             "MultipartParser(boundary, *, parts=1000, head=8190)\n--\n\n"
             "Reads a multipart body (RFC 2046 5.1) in pieces; `boundary` is the bytes of that\n"
             "parameter of its Content-Type. The limits are the number of parts, and bytes of one\n"
             "part's header section, which also holds at most 16 fields.");

static PyType_Slot multipart_slots[] = {
    {Py_tp_doc, FIO_UNCONST(multipart_doc)},
    {Py_tp_new, multipart_new},
    {Py_tp_dealloc, multipart_dealloc},
    {Py_tp_traverse, multipart_traverse},
    {Py_tp_methods, multipart_methods},
    {Py_tp_members, multipart_members},
    {0, NULL},
};

static PyType_Spec multipart_spec = {
    .name = "fastaio.http.MultipartParser",
    .basicsize = sizeof(FioMultipartParser),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = multipart_slots,
};

int
fio_py_multipart_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->MultipartParserType, &multipart_spec, NULL);
}
