/* The attributes of a Request, each made from the head or the connection when it is read first. */

#include "base/num.h"
#include "base/text.h"
#include "http/cookie.h"
#include "http/py_codec.h"
#include "http/token.h"
#include "http/url.h"
#include "server/conn.h"
#include "server/multidict.h"
#include "server/path.h"
#include "server/request_parts.h"

static PyObject *
text_of(fio_view view)
{
    return fio_text_new(view, "surrogateescape");
}

static PyObject *
text_of_span(const FioRequest *self, fio_span span)
{
    return text_of(fio_span_view(self->base, span));
}

/* -- from the head --------------------------------------------------------------------------------
 */

static PyObject *
make_method(FioRequest *self)
{
    fio_state *st = self->st;
    switch ((fio_method)self->head->method) {
    case FIO_METHOD_GET:
        return Py_NewRef(st->str_GET);
    case FIO_METHOD_HEAD:
        return Py_NewRef(st->str_HEAD);
    case FIO_METHOD_POST:
        return Py_NewRef(st->str_POST);
    case FIO_METHOD_PUT:
        return Py_NewRef(st->str_PUT);
    case FIO_METHOD_DELETE:
        return Py_NewRef(st->str_DELETE);
    case FIO_METHOD_PATCH:
        return Py_NewRef(st->str_PATCH);
    case FIO_METHOD_OPTIONS:
        return Py_NewRef(st->str_OPTIONS);
    default:
        return text_of_span(self, self->head->method_span);
    }
}

static PyObject *
make_path(FioRequest *self)
{
    return fio_path_to_str(fio_span_view(self->base, self->head->path));
}

static PyObject *
pair_of(PyObject *name, PyObject *value)
{
    PyObject *pair = name == NULL || value == NULL ? NULL : PyTuple_Pack(2, name, value);
    Py_XDECREF(name);
    Py_XDECREF(value);
    return pair;
}

static PyObject *
make_headers(FioRequest *self)
{
    fio_state *st = self->st;
    const fio_head *head = self->head;
    PyObject *dict = fio_multidict_new(st, FIO_CIMULTIDICT, (Py_ssize_t)head->field_count);
    for (uint32_t i = 0; dict != NULL && i < head->field_count; i++) {
        if (fio_multidict_add(st, dict, text_of_span(self, head->fields[i].name),
                              text_of_span(self, head->fields[i].value))
            < 0) {
            Py_CLEAR(dict);
        }
    }
    return fio_multidict_proxy(st, FIO_CIMULTIDICT, dict);
}

static PyObject *
make_raw_headers(FioRequest *self)
{
    const fio_head *head = self->head;
    PyObject *pairs = PyTuple_New((Py_ssize_t)head->field_count);
    for (uint32_t i = 0; pairs != NULL && i < head->field_count; i++) {
        fio_view name = fio_span_view(self->base, head->fields[i].name);
        fio_view value = fio_span_view(self->base, head->fields[i].value);
        PyObject *pair = pair_of(PyBytes_FromStringAndSize(name.base, (Py_ssize_t)name.size),
                                 PyBytes_FromStringAndSize(value.base, (Py_ssize_t)value.size));
        if (pair == NULL) {
            Py_CLEAR(pairs);
            break;
        }
        PyTuple_SET_ITEM(pairs, (Py_ssize_t)i, pair);
    }
    return pairs;
}

/* A name or value of a query, decoded in `scratch`, which is NULL for one without escapes. */
static PyObject *
query_text(fio_view text, char *scratch)
{
    if (scratch != NULL) {
        text = (fio_view){scratch, fio_percent_decode(scratch, text, FIO_DECODE_QUERY)};
    }
    return fio_text_new(text, "replace");
}

/* urllib.parse.parse_qsl(query, keep_blank_values=True) */
static PyObject *
make_query(FioRequest *self)
{
    fio_state *st = self->st;
    fio_view query = fio_span_view(self->base, self->head->query);
    bool plain = fio_percent_is_plain(query, FIO_DECODE_QUERY);
    char *scratch = plain ? NULL : PyMem_Malloc(query.size);
    if (!plain && scratch == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *dict = fio_multidict_new(st, FIO_MULTIDICT, 0);
    fio_view name;
    fio_view value;
    while (dict != NULL && fio_query_next(&query, &name, &value)) {
        if (fio_multidict_add(st, dict, query_text(name, scratch), query_text(value, scratch))
            < 0) {
            Py_CLEAR(dict);
        }
    }
    PyMem_Free(scratch);
    return fio_multidict_proxy(st, FIO_MULTIDICT, dict);
}

/* MappingProxyType of a dict. */
static PyObject *
make_cookies(FioRequest *self)
{
    PyObject *proxy = fio_lazy_types_MappingProxyType(self->st);
    PyObject *cookies = proxy == NULL ? NULL : PyDict_New();
    fio_view rest = fio_request_field(self, FIO_FIELD_COOKIE);
    char *scratch = cookies == NULL ? NULL : PyMem_Malloc(rest.size + 1);
    if (scratch == NULL) {
        Py_XDECREF(cookies);
        return proxy == NULL ? NULL : PyErr_NoMemory();
    }
    fio_view name;
    fio_view value;
    while (rest.base != NULL && cookies != NULL && fio_cookie_next(&rest, &name, &value)) {
        fio_view plain = {scratch, fio_cookie_unquote(scratch, value)};
        PyObject *name_text = text_of(name);
        PyObject *value_text = text_of(plain);
        int refused = name_text == NULL || value_text == NULL
                          ? -1
                          : fio_cookie_is_refused(name_text, value_text);
        if (refused < 0 || (refused == 0 && PyDict_SetItem(cookies, name_text, value_text) < 0)) {
            Py_CLEAR(cookies);
        }
        Py_XDECREF(name_text);
        Py_XDECREF(value_text);
    }
    PyMem_Free(scratch);
    PyObject *result = cookies == NULL ? NULL : PyObject_CallOneArg(proxy, cookies);
    Py_XDECREF(cookies);
    return result;
}

static PyObject *
make_version(FioRequest *self)
{
    return Py_XNewRef(self->head->minor == 0 ? fio_lazy_web_HttpVersion10(self->st)
                                             : fio_lazy_web_HttpVersion11(self->st));
}

/* -- URLs -----------------------------------------------------------------------------------------
 */

static PyObject *
call_keywords(PyObject *callable, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    PyObject *kwargs = callable == NULL ? NULL : Py_VaBuildValue(format, list);
    va_end(list);
    PyObject *args = kwargs == NULL ? NULL : PyTuple_New(0);
    PyObject *result = args == NULL ? NULL : PyObject_Call(callable, args, kwargs);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return result;
}

/* As aiohttp's parser makes message.url, relative. */
static PyObject *
make_rel_url(FioRequest *self)
{
    PyObject *url_type = fio_lazy_yarl_URL(self->st);
    PyObject *build = url_type == NULL ? NULL : PyObject_GetAttrString(url_type, "build");
    if (build == NULL) {
        return NULL;
    }
    fio_view path = fio_span_view(self->base, self->head->path);
    fio_view query = fio_span_view(self->base, self->head->query);
    PyObject *url = call_keywords(build, "{s:N,s:N,s:O}", "path", text_of(path), "query_string",
                                  text_of(query), "encoded", Py_True);
    Py_DECREF(build);
    return url;
}

/* URL.build(scheme=scheme, authority=host).join(rel_url) */
static PyObject *
make_url(FioRequest *self)
{
    /* Kept: each is made by Python code, meanwhile another thread may make them, too. */
    PyObject *url_type = fio_lazy_yarl_URL(self->st);
    PyObject *scheme = url_type == NULL ? NULL
                                        : Py_XNewRef(fio_request_get(self, FIO_REQUEST_SCHEME));
    PyObject *host = scheme == NULL ? NULL : Py_XNewRef(fio_request_get(self, FIO_REQUEST_HOST));
    PyObject *rel_url = host == NULL ? NULL
                                     : Py_XNewRef(fio_request_get(self, FIO_REQUEST_REL_URL));
    PyObject *build = rel_url == NULL ? NULL : PyObject_GetAttrString(url_type, "build");
    PyObject *origin = build == NULL
                           ? NULL
                           : call_keywords(build, "{s:O,s:O}", "scheme", scheme, "authority", host);
    PyObject *url = origin == NULL ? NULL : PyObject_CallMethod(origin, "join", "O", rel_url);
    Py_XDECREF(origin);
    Py_XDECREF(build);
    Py_XDECREF(rel_url);
    Py_XDECREF(host);
    Py_XDECREF(scheme);
    return url;
}

/* -- from the connection --------------------------------------------------------------------------
 */

static PyObject *
make_transport(FioRequest *self)
{
    PyObject *transport = self->conn == NULL ? NULL : self->conn->transport;
    return Py_NewRef(transport == NULL ? Py_None : transport);
}

/* transport.get_extra_info(name), None without a transport. */
static PyObject *
extra_info(FioRequest *self, const char *name)
{
    PyObject *transport = fio_request_has(self, FIO_REQUEST_TRANSPORT)
                              ? Py_NewRef(self->made[FIO_REQUEST_TRANSPORT])
                              : make_transport(self);
    if (transport == Py_None && self->past_transport != NULL) {
        Py_SETREF(transport, Py_NewRef(self->past_transport));
    }
    if (transport == Py_None) {
        return transport;
    }
    PyObject *info = PyObject_CallMethod(transport, "get_extra_info", "s", name);
    Py_DECREF(transport);
    return info;
}

/* The host part of a socket address: its first member, or itself on a Unix socket. */
static PyObject *
address_host(FIO_STEALS PyObject *address)
{
    if (address == NULL || !(PyTuple_Check(address) || PyList_Check(address))) {
        PyObject *text = address == NULL || address == Py_None ? Py_XNewRef(address)
                                                               : PyObject_Str(address);
        Py_XDECREF(address);
        return text;
    }
    PyObject *host = PySequence_GetItem(address, 0);
    PyObject *text = host == NULL ? NULL : PyObject_Str(host);
    Py_XDECREF(host);
    Py_DECREF(address);
    return text;
}

static PyObject *
make_remote(FioRequest *self)
{
    return address_host(extra_info(self, "peername"));
}

static PyObject *
make_host(FioRequest *self)
{
    if (self->head->host.size > 0) {
        return text_of_span(self, self->head->host);
    }
    if (fio_head_find(self->head, FIO_FIELD_HOST) != NULL) {
        return PyUnicode_FromStringAndSize(NULL, 0);
    }
    PyObject *address = extra_info(self, "sockname");
    bool brackets = address != NULL && PyTuple_Check(address) && PyTuple_GET_SIZE(address) == 4;
    PyObject *host = address_host(address);
    if (host == Py_None) {
        Py_SETREF(host, PyUnicode_FromStringAndSize(NULL, 0));
    }
    if (host != NULL && brackets) {
        Py_SETREF(host, PyUnicode_FromFormat("[%U]", host));
    }
    return host;
}

static PyObject *
make_scheme(FioRequest *self)
{
    PyObject *context = extra_info(self, "sslcontext");
    if (context == NULL) {
        return NULL;
    }
    bool secure = context != Py_None;
    Py_DECREF(context);
    return Py_NewRef(secure ? self->st->str_https : self->st->str_http);
}

static PyObject *
make_protocol(FioRequest *self)
{
    return Py_NewRef(self->conn == NULL ? Py_None : (PyObject *)self->conn);
}

static PyObject *
make_loop(FioRequest *self)
{
    if (self->conn == NULL || self->conn->loop == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the request has no connection");
        return NULL;
    }
    return Py_NewRef(self->conn->loop);
}

/* -- from the route -------------------------------------------------------------------------------
 */

static PyObject *
make_match_info(FioRequest *self)
{
    return fio_match_info_new(self->st, &self->match, self->base);
}

static PyObject *
make_app(FioRequest *self)
{
    return Py_NewRef(self->match.route == NULL ? Py_None : self->match.route->app);
}

static PyObject *
make_state(FioRequest *Py_UNUSED(self))
{
    return PyDict_New();
}

/* -- the table of them ----------------------------------------------------------------------------
 */

typedef PyObject *(*request_maker)(FioRequest *);

static const request_maker makers[FIO_REQUEST_ATTRIBUTES] = {
    [FIO_REQUEST_APP] = make_app,
    [FIO_REQUEST_COOKIES] = make_cookies,
    [FIO_REQUEST_HEADERS] = make_headers,
    [FIO_REQUEST_HOST] = make_host,
    [FIO_REQUEST_LOOP] = make_loop,
    [FIO_REQUEST_MATCH_INFO] = make_match_info,
    [FIO_REQUEST_METHOD] = make_method,
    [FIO_REQUEST_PATH] = make_path,
    [FIO_REQUEST_PROTOCOL] = make_protocol,
    [FIO_REQUEST_QUERY] = make_query,
    [FIO_REQUEST_RAW_HEADERS] = make_raw_headers,
    [FIO_REQUEST_REL_URL] = make_rel_url,
    [FIO_REQUEST_REMOTE] = make_remote,
    [FIO_REQUEST_SCHEME] = make_scheme,
    [FIO_REQUEST_STATE] = make_state,
    [FIO_REQUEST_URL] = make_url,
    [FIO_REQUEST_VERSION] = make_version,
};

PyObject *
fio_request_get(FioRequest *self, fio_request_attribute attribute)
{
    if (!fio_request_has(self, attribute)) {
        PyObject *value = makers[attribute](self);
        if (value == NULL) {
            return NULL;
        }
        if (!FIO_GIL && fio_request_has(self, attribute)) {
            Py_DECREF(value); /* another thread was quicker, and may be using its own */
            return self->made[attribute];
        }
        fio_request_set(self, attribute, value);
    }
    return self->made[attribute];
}

static PyObject *
request_attribute(FioRequest *self, void *attribute)
{
    FIO_HOLD_MONITOR(self);
    return Py_XNewRef(fio_request_get(self, (fio_request_attribute)(uintptr_t)attribute));
}

/* Those that change with the connection are not kept. */

static PyObject *
request_transport(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return fio_request_has(self, FIO_REQUEST_TRANSPORT)
               ? Py_NewRef(self->made[FIO_REQUEST_TRANSPORT])
               : make_transport(self);
}

static PyObject *
request_protocol(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return fio_request_has(self, FIO_REQUEST_PROTOCOL) ? Py_NewRef(self->made[FIO_REQUEST_PROTOCOL])
                                                       : make_protocol(self);
}

static PyObject *
request_task(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    if (fio_request_has(self, FIO_REQUEST_TASK)) {
        return Py_NewRef(self->made[FIO_REQUEST_TASK]);
    }
    if (self->conn == NULL) {
        Py_RETURN_NONE;
    }
    if (self->conn->task != NULL) {
        return Py_NewRef(self->conn->task);
    }
    PyObject *current = fio_lazy_aio_current_task(self->st);
    return current == NULL ? NULL : PyObject_CallOneArg(current, self->conn->loop);
}

static PyObject *
request_raw_path(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return text_of_span(self, self->head->target);
}

static PyObject *
request_path_qs(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    fio_span path = self->head->path;
    fio_span query = self->head->query;
    if (fio_request_has(self, FIO_REQUEST_REL_URL)) {
        return PyObject_Str(self->made[FIO_REQUEST_REL_URL]);
    }
    if (query.size > 0) {
        path.size = query.offset + query.size - path.offset;
    }
    return text_of_span(self, path);
}

/* yarl: URL.query_string, decoded */
static PyObject *
request_query_string(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    fio_view query = fio_span_view(self->base, self->head->query);
    if (memchr(query.base, '%', query.size) == NULL && memchr(query.base, '+', query.size) == NULL
        && !fio_request_has(self, FIO_REQUEST_REL_URL)) {
        return text_of(query);
    }
    PyObject *rel_url = Py_XNewRef(fio_request_get(self, FIO_REQUEST_REL_URL));
    PyObject *text = rel_url == NULL ? NULL : PyObject_GetAttrString(rel_url, "query_string");
    Py_XDECREF(rel_url);
    return text;
}

static PyObject *
request_secure(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    PyObject *scheme = fio_request_get(self, FIO_REQUEST_SCHEME);
    return scheme == NULL
               ? NULL
               : PyBool_FromLong(PyUnicode_Check(scheme)
                                 && PyUnicode_CompareWithASCIIString(scheme, "https") == 0);
}

static PyObject *
request_keep_alive(FioRequest *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->head->keep_alive);
}

static PyObject *
request_client_max_size(FioRequest *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(self->max_size);
}

static PyObject *
request_content_length(FioRequest *self, void *Py_UNUSED(closure))
{
    if (!self->head->has_length) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLongLong(self->head->content_length);
}

static PyObject *
request_can_read_body(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return PyBool_FromLong(fio_request_can_read(self));
}

static PyObject *
request_body_exists(FioRequest *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->has_body);
}

/* -- Content-Type ---------------------------------------------------------------------------------
 */

PyObject *
fio_media_type(fio_state *st, fio_view type)
{
    const char *semicolon = type.base == NULL ? NULL : memchr(type.base, ';', type.size);
    if (semicolon != NULL) {
        type.size = (size_t)(semicolon - type.base);
    }
    type = fio_trim(type);
    size_t slashes = 0;
    for (size_t i = 0; i < type.size; i++) {
        slashes += type.base[i] == '/';
    }
    if (slashes != 1) {
        return Py_NewRef(st->str_octet_stream);
    }
    PyObject *text = text_of(type);
    PyObject *lower = text == NULL ? NULL : PyObject_CallMethod(text, "lower", NULL);
    Py_XDECREF(text);
    return lower;
}

static PyObject *
request_content_type(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    return fio_media_type(self->st, fio_request_field(self, FIO_FIELD_CONTENT_TYPE));
}

fio_view
fio_next_parameter(const char **at, const char *end)
{
    const char *start = *at;
    bool quoted = false;
    const char *to = start;
    for (; to < end && (quoted || *to != ';'); to++) {
        if (*to == '"') {
            quoted = !quoted;
        }
        else if (*to == '\\' && quoted && to + 1 < end) {
            to++;
        }
    }
    *at = to < end ? to + 1 : end;
    return (fio_view){start, (size_t)(to - start)};
}

fio_view
fio_content_type_parameter(fio_view field, const char *name)
{
    const char *at = field.base;
    const char *end = field.base + field.size;
    if (field.base != NULL) {
        (void)fio_next_parameter(&at, end); /* the type itself */
    }
    while (at < end) {
        fio_view part = fio_next_parameter(&at, end);
        const char *equals = memchr(part.base, '=', part.size);
        if (equals == NULL) {
            continue;
        }
        fio_view found = fio_trim((fio_view){part.base, (size_t)(equals - part.base)});
        if (found.size != strlen(name) || !fio_ascii_equal(found.base, name, found.size)) {
            continue;
        }
        fio_view value = fio_trim(
            (fio_view){equals + 1, part.size - (size_t)(equals + 1 - part.base)});
        if (value.size >= 2 && value.base[0] == '"' && value.base[value.size - 1] == '"') {
            value = (fio_view){value.base + 1, value.size - 2};
        }
        if (value.size > 0) {
            return value;
        }
    }
    return (fio_view){NULL, 0};
}

static PyObject *
request_charset(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    fio_view field = fio_request_field(self, FIO_FIELD_CONTENT_TYPE);
    fio_view charset = fio_content_type_parameter(field, "charset");
    if (charset.base == NULL) {
        Py_RETURN_NONE;
    }
    return text_of(charset);
}

/* request._match_info = ...: what a router in Python found. */
static int
request_set_match_info(FioRequest *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete _match_info");
        return -1;
    }
    fio_request_set(self, FIO_REQUEST_MATCH_INFO, Py_NewRef(value));
    return 0;
}

#define ATTRIBUTE(name, id, doc) \
    {name, (getter)request_attribute, NULL, doc, (void *)(uintptr_t)(id)}
#define COMPUTED(name, function, doc) {name, (getter)(function), NULL, doc, NULL}
#define FIELD(name, function, id, doc) \
    {name, (getter)(function), NULL, doc, (void *)(uintptr_t)(id)}

PyGetSetDef fio_request_fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    ATTRIBUTE("app", FIO_REQUEST_APP, "The application whose handler this is."),
    ATTRIBUTE("cookies", FIO_REQUEST_COOKIES, "Mapping of the cookies, str to str."),
    ATTRIBUTE("headers", FIO_REQUEST_HEADERS, "CIMultiDictProxy of the header fields."),
    ATTRIBUTE("host", FIO_REQUEST_HOST, "The authority asked for, with its port if it was sent."),
    ATTRIBUTE("loop", FIO_REQUEST_LOOP, "The event loop."),
    ATTRIBUTE("match_info", FIO_REQUEST_MATCH_INFO, "The variables of the path, and the route."),
    ATTRIBUTE("method", FIO_REQUEST_METHOD, "The method, str."),
    ATTRIBUTE("path", FIO_REQUEST_PATH, "The path, decoded."),
    ATTRIBUTE("query", FIO_REQUEST_QUERY, "MultiDictProxy of the query's variables."),
    ATTRIBUTE("raw_headers", FIO_REQUEST_RAW_HEADERS, "Tuple of (name, value) pairs of bytes."),
    ATTRIBUTE("rel_url", FIO_REQUEST_REL_URL, "yarl.URL of path and query."),
    ATTRIBUTE("remote", FIO_REQUEST_REMOTE, "The peer's address, str, or None."),
    ATTRIBUTE("scheme", FIO_REQUEST_SCHEME, "'http' or 'https'."),
    ATTRIBUTE("url", FIO_REQUEST_URL, "yarl.URL with scheme and host."),
    ATTRIBUTE("version", FIO_REQUEST_VERSION, "HttpVersion(major, minor)."),
    COMPUTED("body_exists", request_body_exists, "True when the message has a body."),
    COMPUTED("can_read_body", request_can_read_body, "True while body is left to be read."),
    COMPUTED("charset", request_charset, "The charset of Content-Type, or None."),
    COMPUTED("client_max_size", request_client_max_size, "Bytes read() accepts; 0: any number."),
    COMPUTED("content", fio_request_content, "The body as a stream."),
    COMPUTED("content_length", request_content_length, "Content-Length, int, or None."),
    COMPUTED("content_type", request_content_type, "The media type, without parameters."),
    COMPUTED("has_body", request_can_read_body, "The same as can_read_body."),
    COMPUTED("http_range", fio_request_http_range, "Range as a slice of bytes."),
    COMPUTED("keep_alive", request_keep_alive, "True when the client may send another request."),
    COMPUTED("path_qs", request_path_qs, "Path and query as sent."),
    COMPUTED("protocol", request_protocol, "The connection, or None."),
    COMPUTED("query_string", request_query_string, "The query, decoded."),
    COMPUTED("raw_path", request_raw_path, "The request target as sent."),
    COMPUTED("secure", request_secure, "True when the scheme is https."),
    COMPUTED("task", request_task, "The task that runs the handler."),
    COMPUTED("transport", request_transport, "The asyncio transport, None once it is closed."),
    {"_match_info", (getter)request_attribute, (setter)request_set_match_info, NULL,
     (void *)(uintptr_t)FIO_REQUEST_MATCH_INFO},
    FIELD("if_match", fio_request_etags_field, FIO_FIELD_IF_MATCH, "Tuple of ETag, or None."),
    FIELD("if_none_match", fio_request_etags_field, FIO_FIELD_IF_NONE_MATCH,
          "Tuple of ETag, or None."),
    FIELD("if_modified_since", fio_request_date_field, FIO_FIELD_IF_MODIFIED_SINCE,
          "datetime in UTC, or None."),
    FIELD("if_unmodified_since", fio_request_date_field, FIO_FIELD_IF_UNMODIFIED_SINCE,
          "datetime in UTC, or None."),
    FIELD("if_range", fio_request_date_field, FIO_FIELD_IF_RANGE, "datetime in UTC, or None."),
    {NULL},
};
