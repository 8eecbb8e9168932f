/* The life and the attributes of the response types. */

#include "server/response_parts.h"

#include "base/args.h"
#include "base/num.h"
#include "http/token.h"

/* -- life -----------------------------------------------------------------------------------------
 */

FioResponse *
fio_response_alloc(fio_state *st, PyTypeObject *type)
{
    FioResponse *self = NULL;
    /* A subclass without slots of its own has the same lay-out, so its memory may be shared. */
    if (type->tp_basicsize == (Py_ssize_t)sizeof(FioResponse)) {
        self = fio_pool_take(st->pool_response);
    }
    if (self != NULL) {
        memset((char *)self + sizeof(PyObject), 0, sizeof(*self) - sizeof(PyObject));
        (void)PyObject_Init((PyObject *)self, type);
        PyObject_GC_Track((PyObject *)self);
    }
    else if ((self = (FioResponse *)type->tp_alloc(type, 0)) == NULL) {
        return NULL;
    }
    self->st = st;
    self->pool = fio_pool_hold(st->pool_response);
    self->status = 200;
    self->keep_alive = -1;
    self->left = -1;
    self->content_length = -1;
    return self;
}

static PyObject *
stream_response_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return (PyObject *)fio_response_alloc(fio_state_of_type(type), type);
}

static PyObject *
response_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    FioResponse *self = fio_response_alloc(fio_state_of_type(type), type);
    if (self != NULL) {
        self->whole = true;
    }
    return (PyObject *)self;
}

static PyObject *
file_response_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    FioResponse *self = fio_response_alloc(fio_state_of_type(type), type);
    if (self != NULL) {
        self->is_file = true;
    }
    return (PyObject *)self;
}

static int
response_traverse(FioResponse *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->headers);
    Py_VISIT(self->body);
    Py_VISIT(self->cookies);
    Py_VISIT(self->state);
    Py_VISIT(self->request);
    Py_VISIT(self->dict);
    return 0;
}

static int
response_clear(FioResponse *self)
{
    Py_CLEAR(self->reason);
    Py_CLEAR(self->headers);
    Py_CLEAR(self->content_type);
    Py_CLEAR(self->body);
    Py_CLEAR(self->cookies);
    Py_CLEAR(self->state);
    Py_CLEAR(self->request);
    Py_CLEAR(self->dict);
    return 0;
}

static void
response_dealloc(FioResponse *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    (void)response_clear(self);
    if (self->file != NULL) {
        fio_file_release(self->file);
    }
    fio_pool *pool = self->pool;
    if (pool != NULL && type->tp_basicsize == (Py_ssize_t)sizeof(FioResponse)
        && type->tp_finalize == NULL) {
        fio_pool_give(pool, self, PyObject_GC_Del);
    }
    else {
        type->tp_free(self);
    }
    if (pool != NULL) {
        fio_pool_unhold(pool);
    }
    Py_DECREF(type);
}

/* -- header fields --------------------------------------------------------------------------------
 */

int
fio_response_set_field(FioResponse *self, const char *name, PyObject *value)
{
    PyObject *headers = fio_response_headers(self);
    if (headers == NULL || value == NULL) {
        return -1;
    }
    return PyMapping_SetItemString(headers, name, value);
}

PyObject *
fio_response_headers(FioResponse *self)
{
    if (self->headers == NULL) {
        PyObject *type = fio_lazy_md_CIMultiDict(self->st);
        self->headers = type == NULL ? NULL : PyObject_CallNoArgs(type);
        if (self->headers == NULL) {
            return NULL;
        }
    }
    /* What was kept beside it so far is in it from now on. */
    if (self->content_type != NULL) {
        PyObject *value = self->content_type;
        if (PyMapping_SetItemString(self->headers, "Content-Type", value) < 0) {
            return NULL;
        }
        Py_CLEAR(self->content_type);
    }
    if (self->content_length >= 0) {
        PyObject *value = PyUnicode_FromFormat("%lld", (long long)self->content_length);
        int status = value == NULL
                         ? -1
                         : PyMapping_SetItemString(self->headers, "Content-Length", value);
        Py_XDECREF(value);
        if (status < 0) {
            return NULL;
        }
        self->content_length = -1;
    }
    return self->headers;
}

int
fio_response_find_field(FioResponse *self, const char *name, PyObject **value)
{
    *value = NULL;
    if (self->headers == NULL) {
        return 0;
    }
    *value = PyMapping_GetItemString(self->headers, name);
    if (*value != NULL) {
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

int
fio_response_drop_field(FioResponse *self, const char *name)
{
    if (self->headers == NULL) {
        return 0;
    }
    PyObject *none = PyObject_CallMethod(self->headers, "popall", "sO", name, Py_None);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

static PyObject *
response_headers(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return Py_XNewRef(fio_response_headers(self));
}

static PyObject *
response_cookies(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    if (self->cookies == NULL) {
        PyObject *type = fio_lazy_http_SimpleCookie(self->st);
        self->cookies = type == NULL ? NULL : PyObject_CallNoArgs(type);
    }
    return Py_XNewRef(self->cookies);
}

/* -- status ---------------------------------------------------------------------------------------
 */

int
fio_response_set_status(FioResponse *self, PyObject *status, PyObject *reason)
{
    PyObject *number = PyNumber_Long(status);
    long value = number == NULL ? -1 : PyLong_AsLong(number);
    Py_XDECREF(number);
    if (value == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (value < 100 || value > 999) {
        PyErr_Format(PyExc_ValueError, "status must be from 100 to 999, got %ld", value);
        return -1;
    }
    PyObject *text = NULL;
    if (reason != NULL && reason != Py_None) {
        Py_ssize_t size = 0;
        const char *bytes = PyUnicode_Check(reason) ? PyUnicode_AsUTF8AndSize(reason, &size) : NULL;
        if (bytes == NULL || !fio_is_line_text((fio_view){bytes, (size_t)size})) {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_ValueError,
                             "reason must be str without \\r, \\n and \\0, got %R", reason);
            }
            return -1;
        }
        text = Py_NewRef(reason);
    }
    self->status = (int)value;
    Py_XSETREF(self->reason, text);
    return 0;
}

PyDoc_STRVAR(response_set_status_doc,
             "set_status($self, /, status, reason=None)\n--\n\n"
             "Change status (100..999) and reason (None: the standard one) before prepare().");

static PyObject *
response_set_status(FioResponse *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    FIO_HOLD(self);
    static const char *const params[] = {"status", "reason", NULL};
    static const fio_params spec = {"set_status", params, 2, 1};
    PyObject *values[] = {NULL, Py_None};
    if (fio_args_parse(&spec, args, nargs, kwnames, values) < 0) {
        return NULL;
    }
    if (self->prepared) {
        PyErr_SetString(PyExc_AssertionError,
                        "Cannot change the response status code after the headers have been sent");
        return NULL;
    }
    if (fio_response_set_status(self, values[0], values[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
response_reason(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return self->reason != NULL ? Py_NewRef(self->reason)
                                : PyUnicode_FromString(fio_status_reason(self->status));
}

/* -- body -----------------------------------------------------------------------------------------
 */

/* A payload object of anything that is no bytes, by the class that knows how. */
static PyObject *
make_payload(FioResponse *self, PyObject *body)
{
    PyObject *make = NULL;
    if (PyObject_GetOptionalAttr((PyObject *)self, self->st->str__make_payload, &make) < 0) {
        return NULL;
    }
    if (make == NULL) {
        PyErr_Format(PyExc_ValueError, "Unsupported body type %R", Py_TYPE(body));
        return NULL;
    }
    PyObject *payload = PyObject_CallOneArg(make, body);
    Py_DECREF(make);
    return payload;
}

int
fio_response_set_body(FioResponse *self, PyObject *body)
{
    PyObject *kept = NULL;
    if (body != NULL && body != Py_None) {
        bool plain = PyBytes_CheckExact(body) || PyByteArray_CheckExact(body);
        kept = plain ? Py_NewRef(body) : make_payload(self, body);
        if (kept == NULL) {
            return -1;
        }
    }
    Py_XSETREF(self->body, kept);
    return 0;
}

static PyObject *
response_get_body(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    if (self->body == NULL) {
        Py_RETURN_NONE;
    }
    if (PyUnicode_CheckExact(self->body)) {
        PyObject *bytes = PyUnicode_AsUTF8String(self->body);
        if (bytes == NULL) {
            return NULL;
        }
        Py_SETREF(self->body, bytes);
    }
    return Py_NewRef(self->body);
}

static int
response_set_body(FioResponse *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return fio_response_set_body(self, value);
}

static PyObject *
response_get_text(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return fio_response_get_text(self);
}

static int
response_set_text(FioResponse *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return fio_response_set_text(self, value);
}

/* -- Content-Length -------------------------------------------------------------------------------
 */

/* The Content-Length the application set; -1 none, -2 exception set. */
static int64_t
own_length(FioResponse *self)
{
    if (self->content_length >= 0) {
        return self->content_length;
    }
    PyObject *value = NULL;
    int found = fio_response_find_field(self, "Content-Length", &value);
    if (found <= 0) {
        return found < 0 ? -2 : -1;
    }
    PyObject *number = PyNumber_Long(value);
    Py_DECREF(value);
    long long length = number == NULL ? -1 : PyLong_AsLongLong(number);
    Py_XDECREF(number);
    if (length < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "Content-Length must not be negative");
        }
        return -2;
    }
    return length;
}

int64_t
fio_response_length(FioResponse *self)
{
    if (self->chunked) {
        return -1;
    }
    int64_t length = own_length(self);
    if (length != -1 || !self->whole) {
        return length;
    }
    if (self->body == NULL) {
        return 0;
    }
    return fio_body_is_plain(self->body) ? (int64_t)fio_body_view(self->body).size : -1;
}

static PyObject *
response_get_content_length(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    int64_t length = fio_response_length(self);
    if (length == -1) {
        Py_RETURN_NONE;
    }
    return length < 0 ? NULL : PyLong_FromLongLong(length);
}

static int
response_set_content_length(FioResponse *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    if (self->whole) {
        PyErr_SetString(PyExc_RuntimeError, "Content length is set automatically");
        return -1;
    }
    if (fio_response_drop_field(self, "Content-Length") < 0) {
        return -1;
    }
    self->content_length = -1;
    if (value == NULL || value == Py_None) {
        return 0;
    }
    PyObject *number = PyNumber_Long(value);
    long long length = number == NULL ? -1 : PyLong_AsLongLong(number);
    Py_XDECREF(number);
    if (length < 0 || self->chunked) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(self->chunked ? PyExc_RuntimeError : PyExc_ValueError,
                            self->chunked
                                ? "You can't set content length when chunked encoding is enable"
                                : "content_length must not be negative");
        }
        return -1;
    }
    self->content_length = length;
    return self->headers != NULL && fio_response_headers(self) == NULL ? -1 : 0;
}

/* -- the other attributes -------------------------------------------------------------------------
 */

static PyObject *
response_keep_alive(FioResponse *self, void *Py_UNUSED(closure))
{
    if (self->keep_alive < 0) {
        Py_RETURN_NONE;
    }
    return PyBool_FromLong(self->keep_alive);
}

static PyObject *
response_prepared(FioResponse *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->prepared || self->eof_sent);
}

static PyObject *
response_task(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    return self->request == NULL ? Py_NewRef(Py_None)
                                 : PyObject_GetAttrString((PyObject *)self->request, "task");
}

static PyObject *
response_force_close(FioResponse *self, PyObject *Py_UNUSED(ignored))
{
    self->keep_alive = 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(response_enable_chunked_doc,
             "enable_chunked_encoding($self, /, chunk_size=None)\n--\n\n"
             "Send the body in chunks (RFC 9112 7.1); HTTP/1.1 only. chunk_size is ignored.");

static PyObject *
response_enable_chunked(FioResponse *self, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames)
{
    FIO_HOLD(self);
    static const char *const params[] = {"chunk_size", NULL};
    static const fio_params spec = {"enable_chunked_encoding", params, 1, 0};
    PyObject *ignored = NULL;
    if (fio_args_parse(&spec, args, nargs, kwnames, &ignored) < 0) {
        return NULL;
    }
    int64_t length = own_length(self);
    if (length != -1) {
        if (length >= 0) {
            PyErr_SetString(PyExc_RuntimeError,
                            "You can't enable chunked encoding when a content length is set");
        }
        return NULL;
    }
    self->chunked = true;
    Py_RETURN_NONE;
}

static PyObject *
response_repr(FioResponse *self)
{
    FIO_HOLD(self);
    PyObject *reason = response_reason(self, NULL);
    PyObject *name = reason == NULL ? NULL : PyType_GetName(Py_TYPE(self));
    PyObject *info = NULL;
    if (name != NULL && !self->eof_sent && self->request != NULL) {
        PyObject *method = fio_request_get(self->request, FIO_REQUEST_METHOD);
        PyObject *path = method == NULL ? NULL : fio_request_get(self->request, FIO_REQUEST_PATH);
        info = path == NULL ? NULL : PyUnicode_FromFormat("%U %U ", method, path);
    }
    else if (name != NULL) {
        info = PyUnicode_FromString(self->eof_sent ? "eof" : "not prepared");
    }
    PyObject *repr = info == NULL ? NULL : PyUnicode_FromFormat("<%U %U %U>", name, reason, info);
    Py_XDECREF(info);
    Py_XDECREF(name);
    Py_XDECREF(reason);
    return repr;
}

/* -- response["key"] ------------------------------------------------------------------------------
 */

static FIO_BORROWED PyObject *
response_state(FioResponse *self)
{
    if (self->state == NULL) {
        self->state = PyDict_New();
    }
    return self->state;
}

static PyObject *
response_subscript(FioResponse *self, PyObject *key)
{
    FIO_HOLD(self);
    PyObject *state = response_state(self);
    return state == NULL ? NULL : PyObject_GetItem(state, key);
}

static int
response_ass_subscript(FioResponse *self, PyObject *key, PyObject *value)
{
    FIO_HOLD(self);
    PyObject *state = response_state(self);
    if (state == NULL) {
        return -1;
    }
    return value == NULL ? PyObject_DelItem(state, key) : PyObject_SetItem(state, key, value);
}

static Py_ssize_t
response_state_length(FioResponse *self)
{
    FIO_HOLD(self);
    return self->state == NULL ? 0 : PyDict_GET_SIZE(self->state);
}

static PyObject *
response_iter(FioResponse *self)
{
    FIO_HOLD(self);
    PyObject *state = response_state(self);
    return state == NULL ? NULL : PyObject_GetIter(state);
}

static int
response_contains(FioResponse *self, PyObject *key)
{
    FIO_HOLD(self);
    return self->state == NULL ? 0 : PyDict_Contains(self->state, key);
}

static int
response_bool(PyObject *Py_UNUSED(self))
{
    return 1;
}

int
fio_response_of(fio_state *st, PyObject *value, FioResponse **response)
{
    *response = NULL;
    if (PyObject_TypeCheck(value, st->StreamResponseType)) {
        *response = (FioResponse *)Py_NewRef(value);
        return 1;
    }
    PyObject *held = NULL;
    int found = PyObject_GetOptionalAttr(value, st->str___http_response__, &held);
    if (found > 0 && !PyObject_TypeCheck(held, st->StreamResponseType)) {
        Py_CLEAR(held);
        found = 0;
    }
    *response = (FioResponse *)held;
    return found;
}

static PyMemberDef response_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FioResponse, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FioResponse, weakrefs), READONLY, NULL},
    {"status", T_INT, offsetof(FioResponse, status), READONLY, "The status code."},
    {"chunked", T_BOOL, offsetof(FioResponse, chunked), READONLY, "The body goes in chunks."},
    {"body_length", T_ULONGLONG, offsetof(FioResponse, body_sent), READONLY,
     "Bytes of body sent so far."},
    {"_cold", T_BOOL, offsetof(FioResponse, cold), 0, "_prepare_slow() makes the head."},
    {"_cookies", T_OBJECT, offsetof(FioResponse, cookies), 0, NULL},
    {"_req", T_OBJECT, offsetof(FioResponse, request), READONLY, NULL},
    {"_eof_sent", T_BOOL, offsetof(FioResponse, eof_sent), READONLY, NULL},
    {NULL},
};

static PyGetSetDef response_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"reason", (getter)response_reason, NULL, "The reason phrase.", NULL},
    {"headers", (getter)response_headers, NULL, "CIMultiDict of the header fields.", NULL},
    {"content_type", (getter)fio_response_get_content_type, (setter)fio_response_put_content_type,
     "The media type, without parameters.", NULL},
    {"charset", (getter)fio_response_get_charset, (setter)fio_response_put_charset,
     "The charset of Content-Type, or None.", NULL},
    {"cookies", (getter)response_cookies, NULL, "http.cookies.SimpleCookie to be set.", NULL},
    {"content_length", (getter)response_get_content_length, (setter)response_set_content_length,
     "Bytes of the body, or None.", NULL},
    {"keep_alive", (getter)response_keep_alive, NULL, "False: the connection is closed.", NULL},
    {"prepared", (getter)response_prepared, NULL, "True once the head is sent.", NULL},
    {"task", (getter)response_task, NULL, "The task of the request, or None.", NULL},
    {NULL},
};

static PyGetSetDef response_body_getset[] = {
    {"body", (getter)response_get_body, (setter)response_set_body, "bytes, or None.", NULL},
    {"text", (getter)response_get_text, (setter)response_set_text, "The body as str.", NULL},
    {NULL},
};

static PyMethodDef response_methods[] = {
    {"set_status", FIO_METHOD(response_set_status), METH_FASTCALL | METH_KEYWORDS,
     response_set_status_doc},
    {"force_close", (PyCFunction)response_force_close, METH_NOARGS,
     "force_close($self, /)\n--\n\nClose the connection after this response."},
    {"enable_chunked_encoding", FIO_METHOD(response_enable_chunked), METH_FASTCALL | METH_KEYWORDS,
     response_enable_chunked_doc},
    {"_start", (PyCFunction)fio_stream_response_start, METH_O, fio_stream_response_start_doc},
    {"prepare", (PyCFunction)fio_stream_response_prepare, METH_O, fio_stream_response_prepare_doc},
    {"write", (PyCFunction)fio_stream_response_write, METH_O, fio_stream_response_write_doc},
    {"drain", (PyCFunction)fio_stream_response_drain, METH_NOARGS, fio_stream_response_drain_doc},
    {"write_eof", FIO_METHOD(fio_stream_response_write_eof), METH_FASTCALL | METH_KEYWORDS,
     fio_stream_response_write_eof_doc},
    {NULL},
};

static PyType_Slot stream_response_slots[] = {
    {Py_tp_doc, FIO_UNCONST("StreamResponse(*, status=200, reason=None, headers=None)\n--\n\n"
                            "A response whose body is written bit by bit.")},
    {Py_tp_new, stream_response_new},
    {Py_tp_init, fio_stream_response_init},
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {Py_tp_members, response_members},
    {Py_tp_getset, response_getset},
    {Py_tp_methods, response_methods},
    {Py_tp_repr, response_repr},
    {Py_tp_iter, response_iter},
    {Py_nb_bool, response_bool},
    {Py_mp_subscript, response_subscript},
    {Py_mp_ass_subscript, response_ass_subscript},
    {Py_mp_length, response_state_length},
    {Py_sq_contains, response_contains},
    {0, NULL},
};

static PyType_Slot response_slots[] = {
    {Py_tp_doc,
     FIO_UNCONST("Response(*, body=None, status=200, reason=None, text=None, headers=None, "
                 "content_type=None, charset=None, zlib_executor_size=4096, "
                 "zlib_executor=None)\n--\n\n"
                 "A response with its whole body.")},
    {Py_tp_new, response_new},
    {Py_tp_init, fio_response_init},
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {Py_tp_getset, response_body_getset},
    {0, NULL},
};

static PyType_Slot file_response_slots[] = {
    {Py_tp_doc, FIO_UNCONST("FileResponse(path, chunk_size=262144, status=200, reason=None, "
                            "headers=None)\n--\n\nA response whose body is a file.")},
    {Py_tp_new, file_response_new},
    {Py_tp_init, fio_file_response_init},
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {0, NULL},
};

#define RESPONSE_FLAGS \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec stream_response_spec = {
    .name = "fastaio._core.StreamResponse",
    .basicsize = sizeof(FioResponse),
    .flags = RESPONSE_FLAGS,
    .slots = stream_response_slots,
};

static PyType_Spec response_spec = {
    .name = "fastaio._core.Response",
    .basicsize = sizeof(FioResponse),
    .flags = RESPONSE_FLAGS,
    .slots = response_slots,
};

static PyType_Spec file_response_spec = {
    .name = "fastaio._core.FileResponse",
    .basicsize = sizeof(FioResponse),
    .flags = RESPONSE_FLAGS,
    .slots = file_response_slots,
};

int
fio_response_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_response_meta_setup(module) < 0
        || fio_state_add_type(module, &st->StreamResponseType, &stream_response_spec, NULL) < 0) {
        return -1;
    }
    PyObject *base = (PyObject *)st->StreamResponseType;
    if (fio_state_add_type(module, &st->ResponseType, &response_spec, base) < 0
        || fio_state_add_type(module, &st->FileResponseType, &file_response_spec, base) < 0) {
        return -1;
    }
    /* No slot for it before 3.14. */
    st->ResponseType->tp_vectorcall = fio_response_vectorcall;
    if (fio_file_send_setup_types(module) < 0 || fio_folder_setup_types(module) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, fio_response_functions);
}
