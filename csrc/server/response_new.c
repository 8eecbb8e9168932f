/* Making responses: the constructors, which take a vector of arguments and no more time than they
 * must, and json_response(). */

#include "base/args.h"
#include "server/json.h"
#include "server/response_parts.h"

/* The parameters of Response() in the order of `response_names`. */
enum {
    ARG_BODY,
    ARG_TEXT,
    ARG_CONTENT_TYPE,
    ARG_STATUS,
    ARG_HEADERS,
    ARG_CHARSET,
    ARG_REASON,
    ARG_ZLIB_SIZE,
    ARG_ZLIB_EXECUTOR,
    ARG_COUNT,
};

static const char *const response_names[] = {
    "body",    "text",   "content_type",       "status",        "headers",
    "charset", "reason", "zlib_executor_size", "zlib_executor", NULL};
static const fio_params response_params = {"Response", response_names, 0, 0};

/* The place of a keyword that is the interned string of the source text, as it nearly always is. */
static int
known_keyword(const fio_state *st, const PyObject *name)
{
    const PyObject *const interned[] = {st->str_body,   st->str_text,    st->str_content_type,
                                        st->str_status, st->str_headers, st->str_charset,
                                        st->str_reason};
    for (int i = 0; i < (int)(sizeof(interned) / sizeof(interned[0])); i++) {
        if (name == interned[i]) {
            return i;
        }
    }
    return -1;
}

static int
parse_vector(const fio_state *st, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
             PyObject **values)
{
    Py_ssize_t count = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    if (nargs == 0) {
        Py_ssize_t i = 0;
        for (; i < count; i++) {
            int place = known_keyword(st, PyTuple_GET_ITEM(kwnames, i));
            if (place < 0) {
                break;
            }
            values[place] = args[i];
        }
        if (i == count) {
            return 0;
        }
    }
    return fio_args_parse(&response_params, args, nargs, kwnames, values);
}

static bool
is_given(const PyObject *value)
{
    return value != NULL && value != Py_None;
}

/* -- the fields -----------------------------------------------------------------------------------
 */

static int
copy_headers(FioResponse *self, PyObject *headers)
{
    PyObject *type = fio_lazy_md_CIMultiDict(self->st);
    PyObject *copy = type == NULL ? NULL : PyObject_CallOneArg(type, headers);
    if (copy == NULL) {
        return -1;
    }
    Py_XSETREF(self->headers, copy);
    return 0;
}

/* 1: the application's fields have a Content-Type, and none was given beside it. */
static int
has_own_type(FioResponse *self, PyObject *const *values)
{
    PyObject *value = NULL;
    int found = fio_response_find_field(self, "Content-Type", &value);
    Py_XDECREF(value);
    if (found > 0 && (is_given(values[ARG_CONTENT_TYPE]) || is_given(values[ARG_CHARSET]))) {
        PyErr_SetString(PyExc_ValueError, "passing both Content-Type header and content_type or "
                                          "charset params is forbidden");
        return -1;
    }
    return found;
}

/* Keeps text whose bytes are its body as it is: ASCII in an encoding that has ASCII for a part. */
static PyObject *
encode_text(PyObject *text, PyObject *charset)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "text argument must be str (%R)", Py_TYPE(text));
        return NULL;
    }
    if (charset == NULL) {
        return PyUnicode_CheckExact(text) && PyUnicode_IS_ASCII(text)
                   ? Py_NewRef(text)
                   : PyUnicode_AsUTF8String(text);
    }
    const char *encoding = PyUnicode_AsUTF8(charset);
    return encoding == NULL ? NULL : PyUnicode_AsEncodedString(text, encoding, NULL);
}

/* "type; charset=charset", the usual ones without a new object. */
static PyObject *
text_type(fio_state *st, PyObject *type, PyObject *charset)
{
    if (charset == NULL) {
        if (type == NULL || type == st->str_text_plain) {
            return Py_NewRef(st->str_text_plain_utf8);
        }
        if (type == st->str_application_json) {
            return Py_NewRef(st->str_application_json_utf8);
        }
        if (type == st->str_text_html) {
            return Py_NewRef(st->str_text_html_utf8);
        }
    }
    return PyUnicode_FromFormat("%U; charset=%U", type == NULL ? st->str_text_plain : type,
                                charset == NULL ? st->str_utf8 : charset);
}

/* content_type and charset as given, NULL where not. */
static int
check_type(PyObject *const *values, PyObject **type, PyObject **charset)
{
    *type = is_given(values[ARG_CONTENT_TYPE]) ? values[ARG_CONTENT_TYPE] : NULL;
    *charset = is_given(values[ARG_CHARSET]) ? values[ARG_CHARSET] : NULL;
    if ((*type != NULL && !PyUnicode_Check(*type))
        || (*charset != NULL && !PyUnicode_Check(*charset))) {
        PyErr_SetString(PyExc_TypeError, "content_type and charset must be str or None");
        return -1;
    }
    if (*type != NULL && PyUnicode_GET_LENGTH(*type) >= 7) {
        Py_ssize_t size = 0;
        const char *text = PyUnicode_AsUTF8AndSize(*type, &size);
        if (text == NULL) {
            return -1;
        }
        if (strstr(text, "charset") != NULL) {
            PyErr_SetString(PyExc_ValueError, "charset must not be in content_type argument");
            return -1;
        }
    }
    return 0;
}

/* aiohttp: Response.__init__ */
static int
response_fill(FioResponse *self, PyObject *const *values)
{
    fio_state *st = self->st;
    PyObject *text = is_given(values[ARG_TEXT]) ? values[ARG_TEXT] : NULL;
    PyObject *body = is_given(values[ARG_BODY]) ? values[ARG_BODY] : NULL;
    PyObject *type = NULL;
    PyObject *charset = NULL;
    if (text != NULL && body != NULL) {
        PyErr_SetString(PyExc_ValueError, "body and text are not allowed together");
        return -1;
    }
    if ((values[ARG_STATUS] != NULL || values[ARG_REASON] != NULL)
        && fio_response_set_status(self,
                                   values[ARG_STATUS] == NULL ? st->number_200 : values[ARG_STATUS],
                                   values[ARG_REASON])
               < 0) {
        return -1;
    }
    if (is_given(values[ARG_HEADERS]) && copy_headers(self, values[ARG_HEADERS]) < 0) {
        return -1;
    }
    if (check_type(values, &type, &charset) < 0) {
        return -1;
    }
    int own_type = self->headers == NULL ? 0 : has_own_type(self, values);
    if (own_type < 0) {
        return -1;
    }
    if (text != NULL) {
        if (own_type > 0) {
            return fio_response_set_text(self, text);
        }
        self->body = encode_text(text, charset);
        self->content_type = self->body == NULL ? NULL : text_type(st, type, charset);
        return self->content_type == NULL ? -1 : 0;
    }
    if (type != NULL) {
        self->content_type = charset == NULL
                                 ? Py_NewRef(type)
                                 : PyUnicode_FromFormat("%U; charset=%U", type, charset);
        if (self->content_type == NULL) {
            return -1;
        }
    }
    return body == NULL ? 0 : fio_response_set_body(self, body);
}

/* The zlib arguments concern compression, which is done in Python: kept as attributes. */
static int
keep_zlib(FioResponse *self, PyObject *const *values)
{
    if (values[ARG_ZLIB_SIZE] != NULL
        && PyObject_SetAttrString((PyObject *)self, "_zlib_executor_size", values[ARG_ZLIB_SIZE])
               < 0) {
        return -1;
    }
    if (values[ARG_ZLIB_EXECUTOR] != NULL) {
        return PyObject_SetAttrString((PyObject *)self, "_zlib_executor",
                                      values[ARG_ZLIB_EXECUTOR]);
    }
    return 0;
}

PyObject *
fio_response_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    fio_state *st = fio_state_of_type((PyTypeObject *)type);
    PyObject *values[ARG_COUNT] = {NULL};
    if (parse_vector(st, args, PyVectorcall_NARGS(nargsf), kwnames, values) < 0) {
        return NULL;
    }
    FioResponse *self = fio_response_alloc(st, (PyTypeObject *)type);
    if (self == NULL) {
        return NULL;
    }
    self->whole = true;
    if (response_fill(self, values) < 0 || keep_zlib(self, values) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

/* __init__ may be called again. */
static void
response_forget(FioResponse *self)
{
    Py_CLEAR(self->headers);
    Py_CLEAR(self->content_type);
    Py_CLEAR(self->body);
    Py_CLEAR(self->reason);
    self->status = 200;
    self->content_length = -1;
}

int
fio_response_init(FioResponse *self, PyObject *args, PyObject *kwargs)
{
    PyObject *values[ARG_COUNT] = {NULL};
    if (fio_args_parse_tuple(&response_params, args, kwargs, values) < 0) {
        return -1;
    }
    response_forget(self);
    return response_fill(self, values) < 0 ? -1 : keep_zlib(self, values);
}

/* values: status, reason and headers. */
static int
response_fill_head(FioResponse *self, PyObject *const *values)
{
    if (fio_response_set_status(self, values[0], values[1]) < 0) {
        return -1;
    }
    return is_given(values[2]) ? copy_headers(self, values[2]) : 0;
}

int
fio_stream_response_init(FioResponse *self, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"status", "reason", "headers", NULL};
    static const fio_params spec = {"StreamResponse", params, 0, 0};
    PyObject *values[] = {self->st->number_200, NULL, NULL};
    if (fio_args_parse_tuple(&spec, args, kwargs, values) < 0) {
        return -1;
    }
    response_forget(self);
    return response_fill_head(self, values);
}

int
fio_file_response_init(FioResponse *self, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"path", "chunk_size", "status", "reason", "headers", NULL};
    static const fio_params spec = {"FileResponse", params, 5, 1};
    PyObject *values[] = {NULL, NULL, self->st->number_200, NULL, NULL};
    if (fio_args_parse_tuple(&spec, args, kwargs, values) < 0) {
        return -1;
    }
    PyObject *path = NULL;
    if (PyUnicode_FSConverter(values[0], &path) == 0) {
        return -1;
    }
    response_forget(self);
    Py_XSETREF(self->body, path);
    return response_fill_head(self, values + 2);
}

/* -- JSON -----------------------------------------------------------------------------------------
 */

/* The encoder json.dumps() makes anew for every call, kept in the module's state, and the dict in
 * which it notes what it is inside of. */
static FIO_BORROWED PyObject *
json_encoder(fio_state *st)
{
    if (st->json_encoder != NULL) {
        return st->json_encoder;
    }
    PyObject *base = fio_lazy_json_default_encoder(st);
    PyObject *make = base == NULL ? NULL : fio_lazy_json_make_encoder(st);
    PyObject *escape = make == NULL ? NULL : fio_lazy_json_escape(st);
    PyObject *fallback = escape == NULL ? NULL : PyObject_GetAttrString(base, "default");
    PyObject *markers = fallback == NULL ? NULL : PyDict_New();
    if (markers != NULL) {
        st->json_encoder = PyObject_CallFunction(make, "OOOOssOOO", markers, fallback, escape,
                                                 Py_None, ": ", ", ", Py_False, Py_False, Py_True);
        Py_XSETREF(st->json_markers, Py_NewRef(markers));
    }
    Py_XDECREF(fallback);
    Py_XDECREF(markers);
    return st->json_encoder;
}

/* json.dumps(data) */
static PyObject *
json_text(fio_state *st, PyObject *data)
{
    PyObject *plain = NULL;
    int status = fio_json_dumps(data, &plain);
    if (status <= 0) {
        return plain;
    }
    /* Only one thread at a time may note in the encoder's dict what it is inside of. */
    PyObject *encoder = !FIO_GIL || PyUnicode_Check(data) ? NULL : json_encoder(st);
    if (encoder == NULL) {
        if (PyErr_Occurred()) {
            return NULL;
        }
        PyObject *dumps = fio_lazy_json_dumps(st);
        return dumps == NULL ? NULL : PyObject_CallOneArg(dumps, data);
    }
    PyObject *arguments[] = {data, st->number_0};
    PyObject *chunks = PyObject_Vectorcall(encoder, arguments, 2, NULL);
    if (chunks == NULL) {
        PyDict_Clear(st->json_markers);
        return NULL;
    }
    PyObject *text = NULL;
    if (PyTuple_CheckExact(chunks) && PyTuple_GET_SIZE(chunks) == 1
        && PyUnicode_CheckExact(PyTuple_GET_ITEM(chunks, 0))) {
        text = Py_NewRef(PyTuple_GET_ITEM(chunks, 0));
    }
    else {
        PyObject *empty = PyUnicode_FromStringAndSize(NULL, 0);
        text = empty == NULL ? NULL : PyUnicode_Join(empty, chunks);
        Py_XDECREF(empty);
    }
    Py_DECREF(chunks);
    return text;
}

static bool
is_true(PyObject *value)
{
    int truth = is_given(value) ? PyObject_IsTrue(value) : 0;
    if (truth < 0) {
        PyErr_Clear(); /* what it is will be said by who uses it */
    }
    return truth != 0;
}

PyDoc_STRVAR(
    json_response_doc,
    "json_response($module, /, data=None, *, text=None, body=None, status=200,\n"
    "              reason=None, headers=None, content_type='application/json',\n"
    "              dumps=None)\n--\n\n"
    "A Response of `data` as JSON, made by dumps(data) (default: as json.dumps), or of text\n"
    "or body as they are. Raises ValueError for data with text or body.");

static PyObject *
json_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const params[] = {"data",    "text",         "body",  "status", "reason",
                                         "headers", "content_type", "dumps", NULL};
    static const fio_params spec = {"json_response", params, 1, 0};
    fio_state *st = fio_state_of_module(module);
    PyObject *in[8] = {NULL};
    in[6] = st->str_application_json;
    if (fio_args_parse(&spec, args, nargs, kwnames, in) < 0) {
        return NULL;
    }
    PyObject *text = Py_XNewRef(in[1]);
    if (in[0] != NULL) {
        if (is_true(in[1]) || is_true(in[2])) {
            PyErr_SetString(PyExc_ValueError,
                            "only one of data, text, or body should be specified");
            Py_XDECREF(text);
            return NULL;
        }
        bool standard = in[7] == NULL || in[7] == fio_state_get(&st->json_dumps);
        Py_XSETREF(text, standard ? json_text(st, in[0]) : PyObject_CallOneArg(in[7], in[0]));
        if (text == NULL) {
            return NULL;
        }
    }
    PyObject *values[ARG_COUNT] = {NULL};
    values[ARG_BODY] = in[0] == NULL ? in[2] : NULL;
    values[ARG_TEXT] = text;
    values[ARG_STATUS] = in[3];
    values[ARG_REASON] = in[4];
    values[ARG_HEADERS] = in[5];
    values[ARG_CONTENT_TYPE] = in[6];
    PyTypeObject *type = st->response_class == NULL ? st->ResponseType
                                                    : (PyTypeObject *)st->response_class;
    FioResponse *self = fio_response_alloc(st, type);
    if (self != NULL) {
        self->whole = true;
        if (response_fill(self, values) < 0) {
            Py_CLEAR(self);
        }
    }
    Py_XDECREF(text);
    return (PyObject *)self;
}

PyDoc_STRVAR(response_setup_doc,
             "response_setup($module, cls, /)\n--\n\n"
             "Let calls of `cls`, a subclass of Response without __init__ and __new__, make its "
             "instances in one step, and json_response() make instances of it. Returns cls.");

static PyObject *
response_setup(PyObject *module, PyObject *cls)
{
    FIO_HOLD(module);
    fio_state *st = fio_state_of_module(module);
    if (!PyType_Check(cls) || !PyType_IsSubtype((PyTypeObject *)cls, st->ResponseType)) {
        PyErr_Format(PyExc_TypeError, "cls must be a subclass of Response, not %R", cls);
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)cls;
    if (type->tp_init != st->ResponseType->tp_init || type->tp_new != st->ResponseType->tp_new) {
        PyErr_SetString(PyExc_TypeError, "cls must not define __init__ or __new__");
        return NULL;
    }
    type->tp_vectorcall = fio_response_vectorcall;
    Py_XSETREF(st->response_class, Py_NewRef(cls));
    return Py_NewRef(cls);
}

PyMethodDef fio_response_functions[] = {
    {"json_response", FIO_METHOD(json_response), METH_FASTCALL | METH_KEYWORDS, json_response_doc},
    {"response_setup", response_setup, METH_O, response_setup_doc},
    {NULL},
};
