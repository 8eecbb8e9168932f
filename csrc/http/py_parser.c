/* The parser classes with httptools' interface: llhttp's events as calls of the protocol's methods.
 * They need no loop. */

#include "http/py_parser.h"

#include "base/args.h"
#include "http/parser_events.h"

/* The protocol's methods, in the order of the attribute names below. */
enum {
    ON_MESSAGE_BEGIN,
    ON_URL,
    ON_STATUS,
    ON_HEADER,
    ON_HEADERS_COMPLETE,
    ON_BODY,
    ON_MESSAGE_COMPLETE,
    ON_CHUNK_HEADER,
    ON_CHUNK_COMPLETE,
    CALLBACK_COUNT,
};

typedef struct {
    PyObject_HEAD
    fio_events events;
    PyObject *callbacks[CALLBACK_COUNT]; /* owned: bound methods, or NULL */
    PyObject *header_name;               /* owned bytes of the field being read, or NULL */
    PyObject *header_value;              /* owned bytes, or NULL until the first of them came */
    bool feeding;
} FioEventParser;

/* -- events ---------------------------------------------------------------------------------------
 */

static int
call_back(FioEventParser *self, int callback, PyObject *arg)
{
    if (self->callbacks[callback] == NULL) {
        return 0;
    }
    PyObject *function = Py_NewRef(self->callbacks[callback]);
    PyObject *result = arg == NULL ? PyObject_CallNoArgs(function)
                                   : PyObject_CallOneArg(function, arg);
    Py_DECREF(function);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
call_back_bytes(FioEventParser *self, int callback, const char *at, size_t size)
{
    if (self->callbacks[callback] == NULL) {
        return 0;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(at, (Py_ssize_t)size);
    if (bytes == NULL) {
        return -1;
    }
    const int result = call_back(self, callback, bytes);
    Py_DECREF(bytes);
    return result;
}

/* Hands the field that is complete, if any, to on_header. */
static int
finish_header(FioEventParser *self)
{
    if (self->header_value == NULL) {
        return 0;
    }
    PyObject *args[] = {self->header_name, self->header_value};
    PyObject *function = Py_NewRef(self->callbacks[ON_HEADER]);
    self->header_name = NULL;
    self->header_value = NULL;
    PyObject *result = PyObject_Vectorcall(function, args, 2, NULL);
    Py_DECREF(function);
    Py_DECREF(args[0]);
    Py_DECREF(args[1]);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
extend_bytes(PyObject **bytes, const char *at, size_t size)
{
    PyObject *piece = PyBytes_FromStringAndSize(at, (Py_ssize_t)size);
    if (*bytes == NULL || piece == NULL) {
        *bytes = piece;
        return piece == NULL ? -1 : 0;
    }
    PyBytes_ConcatAndDel(bytes, piece);
    return *bytes == NULL ? -1 : 0;
}

static int
take_header(FioEventParser *self, fio_event event, const char *at, size_t size)
{
    if (self->callbacks[ON_HEADER] == NULL) {
        return 0;
    }
    if (event == FIO_EVENT_HEADER_VALUE) {
        return extend_bytes(&self->header_value, at, size);
    }
    return finish_header(self) < 0 ? -1 : extend_bytes(&self->header_name, at, size);
}

static int
event_parser_take(fio_events *events, fio_event event, const char *at, size_t size)
{
    FioEventParser *self = FIO_CONTAINER_OF(events, FioEventParser, events);
    switch (event) {
    case FIO_EVENT_MESSAGE_BEGIN:
        return call_back(self, ON_MESSAGE_BEGIN, NULL);
    case FIO_EVENT_URL:
        return call_back_bytes(self, ON_URL, at, size);
    case FIO_EVENT_STATUS:
        return call_back_bytes(self, ON_STATUS, at, size);
    case FIO_EVENT_HEADER_FIELD:
    case FIO_EVENT_HEADER_VALUE:
        return take_header(self, event, at, size);
    case FIO_EVENT_HEADERS_COMPLETE:
        return finish_header(self) < 0 ? -1 : call_back(self, ON_HEADERS_COMPLETE, NULL);
    case FIO_EVENT_BODY:
        return call_back_bytes(self, ON_BODY, at, size);
    case FIO_EVENT_MESSAGE_COMPLETE:
        return call_back(self, ON_MESSAGE_COMPLETE, NULL);
    case FIO_EVENT_CHUNK_HEADER:
        return call_back(self, ON_CHUNK_HEADER, NULL);
    case FIO_EVENT_CHUNK_COMPLETE:
        /* Of the last chunk: its trailers are complete. */
        return finish_header(self) < 0 ? -1 : call_back(self, ON_CHUNK_COMPLETE, NULL);
    }
    Py_UNREACHABLE();
}

/* -- methods --------------------------------------------------------------------------------------
 */

/* A callback raised. As in httptools the caller gets an HttpParserCallbackError whose __context__
 * is the exception; one that is no Exception (KeyboardInterrupt, CancelledError) goes on as it is.
 */
static PyObject *
raise_callback_error(fio_state *st, const char *reason)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    PyObject *cause = PyErr_GetRaisedException();
    PyErr_SetString((PyObject *)st->HttpParserCallbackErrorType, reason);
    PyObject *exc = PyErr_GetRaisedException();
    PyException_SetContext(exc, cause); /* steals cause */
    PyErr_SetRaisedException(exc);
    return NULL;
}

static PyObject *
raise_result(fio_state *st, fio_events_result result, const char *reason)
{
    PyTypeObject *type = NULL;
    switch (result) {
    case FIO_EVENTS_CALLBACK:
        if (PyErr_Occurred()) {
            return raise_callback_error(st, reason);
        }
        /* A parser that a callback has stopped was fed again. */
        type = st->HttpParserCallbackErrorType;
        break;
    case FIO_EVENTS_INVALID_METHOD:
        type = st->HttpParserInvalidMethodErrorType;
        break;
    case FIO_EVENTS_INVALID_URL:
        type = st->HttpParserInvalidURLErrorType;
        break;
    case FIO_EVENTS_INVALID_STATUS:
        type = st->HttpParserInvalidStatusErrorType;
        break;
    default:
        type = st->HttpParserErrorType;
    }
    PyErr_SetString((PyObject *)type, reason);
    return NULL;
}

static PyObject *
raise_upgrade(fio_state *st, size_t offset)
{
    PyObject *number = PyLong_FromSize_t(offset);
    if (number != NULL) {
        PyErr_SetObject((PyObject *)st->HttpParserUpgradeType, number);
        Py_DECREF(number);
    }
    return NULL;
}

PyDoc_STRVAR(
    event_parser_feed_data_doc,
    "feed_data($self, data, /)\n--\n\n"
    "Parse the bytes-like `data`, calling the protocol's methods as parts are found.\n\n"
    "Raises HttpParserUpgrade, whose argument is the offset in `data` where another\n"
    "protocol begins, behind an Upgrade or CONNECT message; HttpParserError or a subclass\n"
    "for a malformed message, after which the parser is of no more use;\n"
    "HttpParserCallbackError when a callback raised an Exception.");

static PyObject *
event_parser_feed_data(FioEventParser *self, PyObject *data)
{
    FIO_HOLD(self);
    fio_state *st = fio_state_of_type(Py_TYPE(self));
    if (self->feeding) {
        PyErr_SetString(PyExc_RuntimeError, "feed_data() called from one of its own callbacks");
        return NULL;
    }
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    size_t used = 0;
    self->feeding = true;
    const fio_events_result result = fio_events_feed(&self->events, buffer.buf, (size_t)buffer.len,
                                                     &used);
    self->feeding = false;
    PyBuffer_Release(&buffer);
    if (result == FIO_EVENTS_OK) {
        Py_RETURN_NONE;
    }
    return result == FIO_EVENTS_UPGRADE ? raise_upgrade(st, used)
                                        : raise_result(st, result, self->events.error);
}

PyDoc_STRVAR(event_parser_get_http_version_doc,
             "get_http_version($self, /)\n--\n\n"
             "The version of the message being read, like '1.1'.");

static PyObject *
event_parser_get_http_version(FioEventParser *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(self);
    return PyUnicode_FromFormat("%d.%d", fio_events_major(&self->events),
                                fio_events_minor(&self->events));
}

PyDoc_STRVAR(event_parser_should_keep_alive_doc,
             "should_keep_alive($self, /)\n--\n\n"
             "True if another message may follow on the connection (RFC 9112 9.3).");

static PyObject *
event_parser_should_keep_alive(FioEventParser *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(self);
    return PyBool_FromLong(fio_events_keep_alive(&self->events));
}

PyDoc_STRVAR(event_parser_should_upgrade_doc,
             "should_upgrade($self, /)\n--\n\n"
             "True if the message asks for another protocol; known from on_headers_complete on.");

static PyObject *
event_parser_should_upgrade(FioEventParser *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(self);
    return PyBool_FromLong(fio_events_upgrade(&self->events));
}

PyDoc_STRVAR(event_parser_get_method_doc, "get_method($self, /)\n--\n\n"
                                          "The method of the request being read, as bytes.");

static PyObject *
event_parser_get_method(FioEventParser *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(self);
    return PyBytes_FromString(fio_events_method(&self->events));
}

PyDoc_STRVAR(event_parser_get_status_code_doc, "get_status_code($self, /)\n--\n\n"
                                               "The status of the response being read.");

static PyObject *
event_parser_get_status_code(FioEventParser *self, PyObject *Py_UNUSED(none))
{
    FIO_HOLD(self);
    return PyLong_FromLong(fio_events_status(&self->events));
}

/* -- life -----------------------------------------------------------------------------------------
 */

static int
event_parser_traverse(FioEventParser *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < CALLBACK_COUNT; i++) {
        Py_VISIT(self->callbacks[i]);
    }
    return 0;
}

static int
event_parser_clear(FioEventParser *self)
{
    for (int i = 0; i < CALLBACK_COUNT; i++) {
        Py_CLEAR(self->callbacks[i]);
    }
    Py_CLEAR(self->header_name);
    Py_CLEAR(self->header_value);
    return 0;
}

static void
event_parser_dealloc(FioEventParser *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)event_parser_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
event_parser_new(PyTypeObject *type, bool response)
{
    FioEventParser *self = (FioEventParser *)type->tp_alloc(type, 0);
    if (self != NULL) {
        fio_events_init(&self->events, response, event_parser_take);
    }
    return (PyObject *)self;
}

static PyObject *
request_parser_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return event_parser_new(type, false);
}

static PyObject *
response_parser_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return event_parser_new(type, true);
}

static int
take_callback(FioEventParser *self, int callback, PyObject *protocol, PyObject *name)
{
    PyObject *method = NULL;
    if (PyObject_GetOptionalAttr(protocol, name, &method) < 0) {
        return -1;
    }
    if (method == Py_None) {
        Py_CLEAR(method);
    }
    Py_XSETREF(self->callbacks[callback], method);
    return 0;
}

static int
event_parser_init(FioEventParser *self, PyObject *args, PyObject *kwargs, bool response)
{
    FIO_HOLD(self);
    static const char *const names[] = {"protocol", NULL};
    static const fio_params params = {"HttpParser", names, 1, 1};
    PyObject *protocol = NULL;
    if (fio_args_parse_tuple(&params, args, kwargs, &protocol) < 0) {
        return -1;
    }
    if (self->feeding) {
        PyErr_SetString(PyExc_RuntimeError, "__init__() called from a callback");
        return -1;
    }
    const fio_state *st = fio_state_of_type(Py_TYPE(self));
    PyObject *const callback_names[CALLBACK_COUNT] = {
        [ON_MESSAGE_BEGIN] = st->str_on_message_begin,
        [ON_URL] = response ? NULL : st->str_on_url,
        [ON_STATUS] = response ? st->str_on_status : NULL,
        [ON_HEADER] = st->str_on_header,
        [ON_HEADERS_COMPLETE] = st->str_on_headers_complete,
        [ON_BODY] = st->str_on_body,
        [ON_MESSAGE_COMPLETE] = st->str_on_message_complete,
        [ON_CHUNK_HEADER] = st->str_on_chunk_header,
        [ON_CHUNK_COMPLETE] = st->str_on_chunk_complete,
    };
    (void)event_parser_clear(self);
    fio_events_init(&self->events, response, event_parser_take);
    for (int i = 0; i < CALLBACK_COUNT; i++) {
        if (callback_names[i] != NULL && take_callback(self, i, protocol, callback_names[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
request_parser_init(FioEventParser *self, PyObject *args, PyObject *kwargs)
{
    return event_parser_init(self, args, kwargs, false);
}

static int
response_parser_init(FioEventParser *self, PyObject *args, PyObject *kwargs)
{
    return event_parser_init(self, args, kwargs, true);
}

#define COMMON_METHODS                                                                      \
    {"feed_data", (PyCFunction)event_parser_feed_data, METH_O, event_parser_feed_data_doc}, \
        {"get_http_version", (PyCFunction)event_parser_get_http_version, METH_NOARGS,       \
         event_parser_get_http_version_doc},                                                \
        {"should_keep_alive", (PyCFunction)event_parser_should_keep_alive, METH_NOARGS,     \
         event_parser_should_keep_alive_doc},                                               \
    {                                                                                       \
        "should_upgrade", (PyCFunction)event_parser_should_upgrade, METH_NOARGS,            \
            event_parser_should_upgrade_doc                                                 \
    }

static PyMethodDef request_parser_methods[] = {
    COMMON_METHODS,
    {"get_method", (PyCFunction)event_parser_get_method, METH_NOARGS, event_parser_get_method_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef response_parser_methods[] = {
    COMMON_METHODS,
    {"get_status_code", (PyCFunction)event_parser_get_status_code, METH_NOARGS,
     event_parser_get_status_code_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    request_parser_doc,
    "HttpRequestParser(protocol)\n--\n\n"
    "Parses HTTP/1 requests, calling those of on_message_begin(), on_url(bytes),\n"
    "on_header(bytes, bytes), on_headers_complete(), on_body(bytes),\n"
    "on_message_complete(), on_chunk_header() and on_chunk_complete() that `protocol` has.\n"
    "on_url and on_body may come in pieces. The interface is httptools'.");

PyDoc_STRVAR(response_parser_doc,
             "HttpResponseParser(protocol)\n--\n\n"
             "Parses HTTP/1 responses: as HttpRequestParser, with on_status(bytes) for the reason\n"
             "phrase in place of on_url.");

static PyType_Slot request_parser_slots[] = {
    {Py_tp_doc, FIO_UNCONST(request_parser_doc)},
    {Py_tp_new, request_parser_new},
    {Py_tp_init, request_parser_init},
    {Py_tp_dealloc, event_parser_dealloc},
    {Py_tp_traverse, event_parser_traverse},
    {Py_tp_clear, event_parser_clear},
    {Py_tp_methods, request_parser_methods},
    {0, NULL},
};

static PyType_Slot response_parser_slots[] = {
    {Py_tp_doc, FIO_UNCONST(response_parser_doc)},
    {Py_tp_new, response_parser_new},
    {Py_tp_init, response_parser_init},
    {Py_tp_dealloc, event_parser_dealloc},
    {Py_tp_traverse, event_parser_traverse},
    {Py_tp_clear, event_parser_clear},
    {Py_tp_methods, response_parser_methods},
    {0, NULL},
};

static PyType_Spec request_parser_spec = {
    .name = "fastaio.http.HttpRequestParser",
    .basicsize = sizeof(FioEventParser),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = request_parser_slots,
};

static PyType_Spec response_parser_spec = {
    .name = "fastaio.http.HttpResponseParser",
    .basicsize = sizeof(FioEventParser),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = response_parser_slots,
};

/* -- exceptions -----------------------------------------------------------------------------------
 */

static int
add_exception(PyObject *module, PyTypeObject **slot, const char *name, const char *doc,
              PyTypeObject *base)
{
    PyObject *exc = PyErr_NewExceptionWithDoc(name, doc, (PyObject *)base, NULL);
    if (exc == NULL) {
        return -1;
    }
    Py_XSETREF(*slot, (PyTypeObject *)exc);
    return PyModule_AddType(module, *slot);
}

static int
add_exceptions(PyObject *module, fio_state *st)
{
    if (add_exception(module, &st->HttpParserErrorType, "fastaio.http.HttpParserError",
                      "The message is malformed; base class of the other parser errors.", NULL)
            < 0
        || add_exception(module, &st->HttpParserUpgradeType, "fastaio.http.HttpParserUpgrade",
                         "Another protocol begins at the offset that is the argument.", NULL)
               < 0) {
        return -1;
    }
    PyTypeObject *base = st->HttpParserErrorType;
    if (add_exception(module, &st->HttpParserCallbackErrorType,
                      "fastaio.http.HttpParserCallbackError",
                      "A callback raised the exception that is __context__.", base)
            < 0
        || add_exception(module, &st->HttpParserInvalidStatusErrorType,
                         "fastaio.http.HttpParserInvalidStatusError", "The status is malformed.",
                         base)
               < 0) {
        return -1;
    }
    if (add_exception(module, &st->HttpRequestErrorType, "fastaio.http.HttpRequestError",
                      "A request that must be refused; `status` is the answer's.", base)
        < 0) {
        return -1;
    }
    if (add_exception(module, &st->HttpParserInvalidMethodErrorType,
                      "fastaio.http.HttpParserInvalidMethodError", "The method is not known.", base)
        < 0) {
        return -1;
    }
    return add_exception(module, &st->HttpParserInvalidURLErrorType,
                         "fastaio.http.HttpParserInvalidURLError", "The URL is malformed.", base);
}

int
fio_py_parser_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (add_exceptions(module, st) < 0
        || fio_state_add_type(module, &st->HttpRequestParserType, &request_parser_spec, NULL) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->HttpResponseParserType, &response_parser_spec, NULL);
}
