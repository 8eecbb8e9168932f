/* Python functions over the pure codecs, and the URL type that parse_url() gives. */

#include "http/py_codec.h"

#include "base/args.h"
#include "base/num.h"
#include "base/text.h"
#include "http/cookie.h"
#include "http/url.h"
#include "http/writer.h"

/* Longer URLs are refused, as httptools does. */
#define URL_SIZE_MAX 65535

/* Decoded on the stack up to here: names and values are short. */
#define SHORT_TEXT 256

typedef size_t (*decoder)(char *out, fio_view text, unsigned flags);

static PyObject *
decode_with(decoder decode, fio_view text, unsigned flags, const char *errors)
{
    char short_text[SHORT_TEXT];
    char *out = text.size <= sizeof(short_text) ? short_text : PyMem_Malloc(text.size);
    if (out == NULL) {
        return PyErr_NoMemory();
    }
    const size_t size = decode(out, text, flags);
    PyObject *result = PyUnicode_DecodeUTF8(out, (Py_ssize_t)size, errors);
    if (out != short_text) {
        PyMem_Free(out);
    }
    return result;
}

PyObject *
fio_decode_text(fio_view text, unsigned flags)
{
    const char *errors = (flags & FIO_DECODE_BYTES) != 0 ? "replace" : "surrogateescape";
    if (fio_percent_is_plain(text, flags)) {
        return fio_text_new(text, errors);
    }
    return decode_with(fio_percent_decode, text, flags, errors);
}

static size_t
cookie_decoder(char *out, fio_view text, unsigned Py_UNUSED(flags))
{
    return fio_cookie_unquote(out, text);
}

PyObject *
fio_decode_cookie(fio_view value)
{
    if (value.size == 0 || value.base[0] != '"') {
        return fio_text_new(value, "surrogateescape");
    }
    return decode_with(cookie_decoder, value, 0, "surrogateescape");
}

static bool
has_control_character(PyObject *text)
{
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); i++) {
        Py_UCS4 code = PyUnicode_READ_CHAR(text, i);
        if (code < 0x20 || code == 0x7f) {
            return true;
        }
    }
    return false;
}

int
fio_cookie_is_refused(PyObject *name, PyObject *value)
{
    if (FIO_LIKELY(!has_control_character(value))) {
        return 0;
    }
    int refused = -1;
    PyObject *module = PyImport_ImportModule("http.cookies");
    PyObject *error = module == NULL ? NULL : PyObject_GetAttrString(module, "CookieError");
    PyObject *morsel = error == NULL ? NULL : PyObject_CallMethod(module, "Morsel", NULL);
    if (morsel != NULL) {
        PyObject *none = PyObject_CallMethod(morsel, "__setstate__", "({s:O,s:O,s:O})", "key", name,
                                             "value", value, "coded_value", value);
        refused = none != NULL ? 0 : PyErr_ExceptionMatches(error) ? 1 : -1;
        if (refused > 0) {
            PyErr_Clear();
        }
        Py_XDECREF(none);
    }
    Py_XDECREF(morsel);
    Py_XDECREF(error);
    Py_XDECREF(module);
    return refused;
}

/* -- URL ------------------------------------------------------------------------------------------
 */

typedef struct {
    PyObject_HEAD
    PyObject *schema; /* owned bytes or None, as all of them; port an int or None */
    PyObject *host;
    PyObject *port;
    PyObject *path;
    PyObject *query;
    PyObject *fragment;
    PyObject *userinfo;
} FioURL;

static int
url_traverse(FioURL *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->schema);
    Py_VISIT(self->host);
    Py_VISIT(self->port);
    Py_VISIT(self->path);
    Py_VISIT(self->query);
    Py_VISIT(self->fragment);
    Py_VISIT(self->userinfo);
    return 0;
}

static int
url_clear(FioURL *self)
{
    Py_CLEAR(self->schema);
    Py_CLEAR(self->host);
    Py_CLEAR(self->port);
    Py_CLEAR(self->path);
    Py_CLEAR(self->query);
    Py_CLEAR(self->fragment);
    Py_CLEAR(self->userinfo);
    return 0;
}

static void
url_dealloc(FioURL *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)url_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
url_repr(FioURL *self)
{
    return PyUnicode_FromFormat("<URL schema: %R, host: %R, port: %R, path: %R, query: %R, "
                                "fragment: %R, userinfo: %R>",
                                self->schema, self->host, self->port, self->path, self->query,
                                self->fragment, self->userinfo);
}

/* `offset` is where in a FioURL the part is. */
static PyObject *
url_get(PyObject *self, void *offset)
{
    return Py_NewRef(*(PyObject **)((char *)self + (uintptr_t)offset));
}

#define URL_PART(name, doc) {#name, url_get, NULL, doc, (void *)(uintptr_t)offsetof(FioURL, name)}

static PyGetSetDef url_parts[] = {
    URL_PART(schema, "bytes or None"),
    URL_PART(host, "bytes or None; an IPv6 address without its brackets"),
    URL_PART(port, "int or None"),
    URL_PART(path, "bytes or None"),
    URL_PART(query, "bytes or None"),
    URL_PART(fragment, "bytes or None"),
    URL_PART(userinfo, "bytes or None"),
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(url_doc, "A URL in parts, made by parse_url(); a part that is not there is None.");

static PyType_Slot url_slots[] = {
    {Py_tp_doc, FIO_UNCONST(url_doc)},
    {Py_tp_dealloc, url_dealloc},
    {Py_tp_traverse, url_traverse},
    {Py_tp_clear, url_clear},
    {Py_tp_repr, url_repr},
    {Py_tp_getset, url_parts},
    {0, NULL},
};

static PyType_Spec url_spec = {
    .name = "fastaio.http.URL",
    .basicsize = sizeof(FioURL),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = url_slots,
};

static PyObject *
bytes_or_none(fio_view part)
{
    return part.base == NULL ? Py_NewRef(Py_None)
                             : PyBytes_FromStringAndSize(part.base, (Py_ssize_t)part.size);
}

static PyObject *
url_new(fio_state *st, const fio_url *url)
{
    FioURL *self = (FioURL *)st->URLType->tp_alloc(st->URLType, 0);
    if (self == NULL) {
        return NULL;
    }
    self->schema = bytes_or_none(url->schema);
    self->host = bytes_or_none(url->host);
    self->port = url->port < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(url->port);
    self->path = bytes_or_none(url->path);
    self->query = bytes_or_none(url->query);
    self->fragment = bytes_or_none(url->fragment);
    self->userinfo = bytes_or_none(url->userinfo);
    if (self->schema == NULL || self->host == NULL || self->port == NULL || self->path == NULL
        || self->query == NULL || self->fragment == NULL || self->userinfo == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* -- functions ------------------------------------------------------------------------------------
 */

PyDoc_STRVAR(
    codec_parse_url_doc,
    "parse_url($module, url, /)\n--\n\n"
    "Take the bytes-like `url` apart: a path with query and fragment, or an absolute URL.\n\n"
    "Raises HttpParserInvalidURLError when it is neither or over 65535 bytes long. The\n"
    "interface is httptools'.");

static PyObject *
codec_parse_url(PyObject *module, PyObject *text)
{
    fio_state *st = fio_state_of_module(module);
    Py_buffer buffer;
    if (PyObject_GetBuffer(text, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *error = (PyObject *)st->HttpParserInvalidURLErrorType;
    PyObject *result = NULL;
    fio_url url;
    if (buffer.len > URL_SIZE_MAX) {
        PyErr_Format(error,
                     "url is too long: url length of %zd bytes exceeds the maximum of %d bytes",
                     buffer.len, URL_SIZE_MAX);
    }
    else if (!fio_url_parse((fio_view){buffer.buf, (size_t)buffer.len}, &url)) {
        PyErr_Format(error, "invalid url %R", text);
    }
    else {
        result = url_new(st, &url);
    }
    PyBuffer_Release(&buffer);
    return result;
}

PyDoc_STRVAR(
    codec_unquote_doc,
    "unquote($module, text, /, *, plus=False)\n--\n\n"
    "Decode the '%XX' of the bytes-like `text` to str, as UTF-8.\n\n"
    "As yarl does it: of a path what is no UTF-8 stays encoded; of a query (plus=True) '+'\n"
    "is a space and bytes that are no UTF-8 become U+FFFD.");

static PyObject *
codec_unquote(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    static const char *const names[] = {"text", "plus", NULL};
    static const fio_params params = {"unquote", names, 1, 1};
    PyObject *out[] = {NULL, Py_False};
    if (fio_args_parse(&params, args, nargs, kwnames, out) < 0) {
        return NULL;
    }
    const int plus = PyObject_IsTrue(out[1]);
    Py_buffer buffer;
    if (plus < 0 || PyObject_GetBuffer(out[0], &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *result = fio_decode_text((fio_view){buffer.buf, (size_t)buffer.len},
                                       plus ? FIO_DECODE_QUERY : FIO_DECODE_PATH);
    PyBuffer_Release(&buffer);
    return result;
}

/* Appends (name, value) to `list`; takes both over, either may be NULL with an exception set. */
static int
append_pair(PyObject *list, FIO_STEALS PyObject *name, FIO_STEALS PyObject *value)
{
    PyObject *pair = name == NULL || value == NULL ? NULL : PyTuple_Pack(2, name, value);
    Py_XDECREF(name);
    Py_XDECREF(value);
    const int result = pair == NULL ? -1 : PyList_Append(list, pair);
    Py_XDECREF(pair);
    return result;
}

PyDoc_STRVAR(codec_parse_query_doc,
             "parse_query($module, query, /)\n--\n\n"
             "The pairs (name, value) of a bytes-like query string or urlencoded form, decoded.\n\n"
             "As urllib.parse.parse_qsl(keep_blank_values=True) does it.");

static PyObject *
codec_parse_query(PyObject *Py_UNUSED(module), PyObject *query)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(query, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *result = PyList_New(0);
    fio_view rest = {buffer.buf, (size_t)buffer.len};
    fio_view name;
    fio_view value;
    while (result != NULL && fio_query_next(&rest, &name, &value)) {
        PyObject *text = fio_decode_text(name, FIO_DECODE_QUERY);
        if (append_pair(result, text,
                        text == NULL ? NULL : fio_decode_text(value, FIO_DECODE_QUERY))
            < 0) {
            Py_CLEAR(result);
        }
    }
    PyBuffer_Release(&buffer);
    return result;
}

PyDoc_STRVAR(codec_parse_cookies_doc,
             "parse_cookies($module, field, /)\n--\n\n"
             "The pairs (name, value) of a bytes-like Cookie field value (RFC 6265 5.4).");

static PyObject *
codec_parse_cookies(PyObject *Py_UNUSED(module), PyObject *field)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(field, &buffer, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *result = PyList_New(0);
    fio_view rest = {buffer.buf, (size_t)buffer.len};
    fio_view name;
    fio_view value;
    while (result != NULL && fio_cookie_next(&rest, &name, &value)) {
        PyObject *text = PyUnicode_DecodeASCII(name.base, (Py_ssize_t)name.size, NULL);
        PyObject *plain = text == NULL ? NULL : fio_decode_cookie(value);
        int refused = plain == NULL ? 0 : fio_cookie_is_refused(text, plain);
        if (refused != 0) {
            Py_DECREF(text);
            Py_DECREF(plain);
        }
        if (refused < 0 || (refused == 0 && append_pair(result, text, plain) < 0)) {
            Py_CLEAR(result);
        }
    }
    PyBuffer_Release(&buffer);
    return result;
}

/* 0000-01-01 and the last second of 9999: years of four digits. */
#define DATE_MIN (-62167219200)
#define DATE_MAX 253402300799

PyDoc_STRVAR(codec_http_date_doc,
             "http_date($module, seconds, /)\n--\n\n"
             "The HTTP date of an int of seconds since 1970 (RFC 9110 5.6.7).\n\n"
             "Raises ValueError outside the years 0 to 9999.");

static PyObject *
codec_http_date(PyObject *Py_UNUSED(module), PyObject *seconds)
{
    const long long value = PyLong_AsLongLong(seconds);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (value < DATE_MIN || value > DATE_MAX) {
        PyErr_SetString(PyExc_ValueError, "seconds must lie in the years 0 to 9999");
        return NULL;
    }
    char text[FIO_HTTP_DATE_SIZE];
    fio_http_date(text, value);
    return PyUnicode_FromStringAndSize(text, sizeof(text));
}

PyDoc_STRVAR(codec_parse_http_date_doc,
             "parse_http_date($module, text, /)\n--\n\n"
             "Seconds since 1970 of a date str in one of the three forms of RFC 9110 5.6.7, or\n"
             "None when it is no such date.");

static PyObject *
codec_parse_http_date(PyObject *Py_UNUSED(module), PyObject *text)
{
    Py_ssize_t size = 0;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    int64_t seconds = 0;
    if (utf8 == NULL) {
        return NULL;
    }
    if (!fio_http_date_parse((fio_view){utf8, (size_t)size}, &seconds)) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLongLong(seconds);
}

/* A bytes object's view, or -1. */
static int
view_of_bytes(PyObject *bytes, const char *what, fio_view *view)
{
    if (!PyBytes_Check(bytes)) {
        PyErr_Format(PyExc_TypeError, "%s must be bytes, not %.200s", what,
                     Py_TYPE(bytes)->tp_name);
        return -1;
    }
    *view = (fio_view){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
    return 0;
}

static int
raise_refused(int result, const char *what)
{
    if (result == FIO_E_BAD_REQUEST) {
        PyErr_Format(PyExc_ValueError, "%s holds bytes it must not (RFC 9110 5.5)", what);
        return -1;
    }
    return result < 0 ? -1 : 0;
}

static int
append_field(fio_buf *out, PyObject *item)
{
    PyObject *pair = PySequence_Tuple(item);
    if (pair == NULL) {
        return -1;
    }
    int result = -1;
    fio_view name;
    fio_view value;
    if (PyTuple_GET_SIZE(pair) != 2) {
        PyErr_SetString(PyExc_ValueError, "headers must be pairs of name and value");
    }
    else if (view_of_bytes(PyTuple_GET_ITEM(pair, 0), "a header name", &name) == 0
             && view_of_bytes(PyTuple_GET_ITEM(pair, 1), "a header value", &value) == 0) {
        result = raise_refused(fio_write_field(out, name, value), "a header");
    }
    Py_DECREF(pair);
    return result;
}

static int
append_fields(fio_buf *out, PyObject *headers)
{
    PyObject *iterator = PyObject_GetIter(headers);
    if (iterator == NULL) {
        return -1;
    }
    PyObject *item = NULL;
    while ((item = PyIter_Next(iterator)) != NULL) {
        const int result = append_field(out, item);
        Py_DECREF(item);
        if (result < 0) {
            break;
        }
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : fio_buf_append(out, "\r\n", 2);
}

PyDoc_STRVAR(
    codec_response_head_doc,
    "response_head($module, status, headers=(), /, *, reason=None)\n--\n\n"
    "The bytes of an HTTP/1.1 response head: `headers` are pairs of bytes, `reason` bytes\n"
    "or None for the standard phrase.\n\n"
    "Raises ValueError for a status outside 100 to 999, a name that is no token, and a\n"
    "value or reason with NUL, CR or LF.");

static PyObject *
codec_response_head(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    static const char *const names[] = {"status", "headers", "reason", NULL};
    static const fio_params params = {"response_head", names, 2, 1};
    PyObject *given[] = {NULL, NULL, Py_None};
    if (fio_args_parse(&params, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    const long status = PyLong_AsLong(given[0]);
    fio_view reason;
    if ((status == -1 && PyErr_Occurred())
        || (given[2] != Py_None && view_of_bytes(given[2], "reason", &reason) < 0)) {
        return NULL;
    }
    if (status < 100 || status > 999) {
        PyErr_SetString(PyExc_ValueError, "status must be from 100 to 999");
        return NULL;
    }
    PyObject *result = NULL;
    fio_buf out = {0};
    if (raise_refused(fio_write_status(&out, 1, (int)status, given[2] == Py_None ? NULL : &reason),
                      "reason")
            == 0
        && (given[1] == NULL ? fio_buf_append(&out, "\r\n", 2) : append_fields(&out, given[1]))
               == 0) {
        result = PyBytes_FromStringAndSize(fio_buf_data(&out), (Py_ssize_t)fio_buf_size(&out));
    }
    fio_buf_free(&out);
    return result;
}

static PyMethodDef codec_functions[] = {
    {"parse_url", codec_parse_url, METH_O, codec_parse_url_doc},
    {"unquote", FIO_METHOD(codec_unquote), METH_FASTCALL | METH_KEYWORDS, codec_unquote_doc},
    {"parse_query", codec_parse_query, METH_O, codec_parse_query_doc},
    {"parse_cookies", codec_parse_cookies, METH_O, codec_parse_cookies_doc},
    {"http_date", codec_http_date, METH_O, codec_http_date_doc},
    {"parse_http_date", codec_parse_http_date, METH_O, codec_parse_http_date_doc},
    {"response_head", FIO_METHOD(codec_response_head), METH_FASTCALL | METH_KEYWORDS,
     codec_response_head_doc},
    {NULL, NULL, 0, NULL},
};

int
fio_py_codec_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    if (fio_state_add_type(module, &st->URLType, &url_spec, NULL) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, codec_functions);
}
