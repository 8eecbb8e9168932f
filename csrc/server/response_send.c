/* Responses on the wire: which framing the body has, the head, the bytes. Nothing is written until
 * everything the application gave has been checked, so a refused field leaves the connection as it
 * was and another answer can be made. */

#include "base/num.h"
#include "http/token.h"
#include "http/writer.h"
#include "server/response_parts.h"

/* Larger bodies are queued by reference, smaller ones copied behind their head: up to about here a
 * copy, and the room for it, cost no more than the bookkeeping of one more piece of output. */
#define SEND_BY_REFERENCE (4 * 1024)

/* -- bodies ---------------------------------------------------------------------------------------
 */

bool
fio_body_is_plain(PyObject *body)
{
    return PyBytes_CheckExact(body) || PyUnicode_CheckExact(body) || PyByteArray_CheckExact(body);
}

fio_view
fio_body_view(PyObject *body)
{
    if (PyBytes_CheckExact(body)) {
        return (fio_view){PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body)};
    }
    if (PyByteArray_CheckExact(body)) {
        return (fio_view){PyByteArray_AS_STRING(body), (size_t)PyByteArray_GET_SIZE(body)};
    }
    assert(PyUnicode_IS_ASCII(body)); /* others are encoded when they are set */
    return (fio_view){PyUnicode_DATA(body), (size_t)PyUnicode_GET_LENGTH(body)};
}

/* -- the head -------------------------------------------------------------------------------------
 */

/* RFC 9110 6.4.1: answers that have no body whatever is said about one. */
static bool
has_no_body(int status, const fio_head *head)
{
    return head->method == FIO_METHOD_HEAD || status < 200 || status == 204 || status == 304
           || (head->method == FIO_METHOD_CONNECT && status < 300);
}

/* RFC 9110 8.6: answers that must not have a Content-Length. (304 may, aiohttp sends none.) */
static bool
has_no_length(int status, const fio_head *head)
{
    return status < 200 || status == 204 || status == 304
           || (head->method == FIO_METHOD_CONNECT && status < 300);
}

/* What the head has to say, collected before anything is written. */
typedef struct {
    FioResponse *response;
    fio_buf *out;
    int minor;
    int64_t length;  /* of the body, -1 unknown */
    bool say_length; /* a Content-Length field */
    bool keep_alive; /* after this answer */
    bool own_date;   /* the application has fields of these names */
    bool own_server;
    bool own_type;
    bool own_connection;
    fio_view extra;  /* field lines of the engine's own */
    fio_view common; /* Date and Server */
} head_plan;

static int
raise_bad_field(PyObject *name)
{
    PyErr_Format(
        PyExc_ValueError,
        "header field %R cannot be sent: its name is no token, or \\r, \\n or \\0 is in it", name);
    return -1;
}

/* Text as UTF-8. NULL base: exception set. */
static fio_view
utf8_view(PyObject *text)
{
    Py_ssize_t size = 0;
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "header field names and values must be str, not %.200s",
                     Py_TYPE(text)->tp_name);
        return (fio_view){NULL, 0};
    }
    const char *base = PyUnicode_AsUTF8AndSize(text, &size);
    return (fio_view){base, (size_t)size};
}

static bool
view_is(fio_view text, const char *word)
{
    size_t size = strlen(word);
    return text.size == size && fio_ascii_equal(text.base, word, size);
}

/* Is `word` a member of the comma-separated list? */
static bool
list_has(fio_view list, const char *word)
{
    fio_view member;
    while (fio_list_next(&list, &member)) {
        if (view_is(member, word)) {
            return true;
        }
    }
    return false;
}

static int
apply_transfer_encoding(head_plan *plan, fio_view value)
{
    FioResponse *self = plan->response;
    if (self->no_body) {
        return 0;
    }
    if (!view_is(value, "chunked") || plan->minor == 0) {
        PyErr_SetString(PyExc_ValueError, "Transfer-Encoding can only be 'chunked', on HTTP/1.1");
        return -1;
    }
    self->framed = true;
    plan->say_length = false;
    return 0;
}

/* Takes notice of a field whose meaning concerns the engine: 1 it is not to be written as it is,
 * 0 it is, -1 exception set. */
static int
field_notice(head_plan *plan, fio_view name, fio_view value)
{
    switch (name.size) {
    case 4:
        plan->own_date = plan->own_date || view_is(name, "date");
        return 0;
    case 6:
        plan->own_server = plan->own_server || view_is(name, "server");
        return 0;
    case 10:
        if (view_is(name, "connection")) {
            plan->own_connection = true;
            plan->keep_alive = plan->keep_alive && !list_has(value, "close");
        }
        return 0;
    case 12:
        plan->own_type = plan->own_type || view_is(name, "content-type");
        return 0;
    case 14:
        return view_is(name, "content-length"); /* written from the length */
    case 17:
        if (!view_is(name, "transfer-encoding")) {
            return 0;
        }
        return apply_transfer_encoding(plan, value) < 0 ? -1 : 1;
    default:
        return 0;
    }
}

static int
write_own_field(head_plan *plan, PyObject *name, PyObject *value)
{
    fio_view name_view = utf8_view(name);
    fio_view value_view = name_view.base == NULL ? name_view : utf8_view(value);
    if (value_view.base == NULL) {
        return -1;
    }
    int skip = field_notice(plan, name_view, value_view);
    if (skip != 0) {
        return skip < 0 ? -1 : 0;
    }
    int status = fio_write_field(plan->out, name_view, value_view);
    return status == FIO_E_BAD_REQUEST ? raise_bad_field(name) : status;
}

/* The fields of response.headers. */
static int
write_own_fields(head_plan *plan)
{
    PyObject *headers = plan->response->headers;
    if (headers == NULL) {
        return 0;
    }
    PyObject *items = PyObject_CallMethodNoArgs(headers, plan->response->st->str_items);
    PyObject *iterator = items == NULL ? NULL : PyObject_GetIter(items);
    Py_XDECREF(items);
    if (iterator == NULL) {
        return -1;
    }
    int status = 0;
    PyObject *pair;
    while (status == 0 && (pair = PyIter_Next(iterator)) != NULL) {
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "headers.items() must give pairs");
            status = -1;
        }
        else {
            status = write_own_field(plan, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
        }
        Py_DECREF(pair);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

/* One Set-Cookie field a cookie; http.cookies.Morsel writes it. */
static int
write_cookies(head_plan *plan)
{
    PyObject *cookies = plan->response->cookies;
    if (cookies == NULL || cookies == Py_None) {
        return 0;
    }
    PyObject *morsels = PyObject_CallMethod(cookies, "values", NULL);
    PyObject *iterator = morsels == NULL ? NULL : PyObject_GetIter(morsels);
    Py_XDECREF(morsels);
    if (iterator == NULL) {
        return -1;
    }
    int status = 0;
    PyObject *morsel;
    while (status == 0 && (morsel = PyIter_Next(iterator)) != NULL) {
        PyObject *text = PyObject_CallMethod(morsel, "OutputString", NULL);
        fio_view value = text == NULL ? (fio_view){NULL, 0} : utf8_view(text);
        status = value.base == NULL
                     ? -1
                     : fio_write_field(plan->out, (fio_view){"Set-Cookie", 10}, value);
        if (status == FIO_E_BAD_REQUEST) {
            status = raise_bad_field(text);
        }
        Py_XDECREF(text);
        Py_DECREF(morsel);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

/* The Date and Server lines but for those the application wrote itself. */
static int
write_common(head_plan *plan)
{
    fio_view common = plan->common;
    const char *newline = memchr(common.base, '\n', common.size);
    size_t date = newline == NULL ? common.size : (size_t)(newline + 1 - common.base);
    if (plan->own_date) {
        common = (fio_view){common.base + date, common.size - date};
    }
    else if (plan->own_server) {
        common.size = date;
    }
    if (plan->own_date && plan->own_server) {
        return 0;
    }
    return fio_buf_append(plan->out, common.base, common.size);
}

static const char *
connection_word(const head_plan *plan)
{
    if (plan->own_connection || plan->keep_alive == (plan->minor == 1)) {
        return NULL;
    }
    return plan->keep_alive ? "keep-alive" : "close";
}

static int
write_name_value(head_plan *plan, const char *name, const char *value)
{
    return fio_write_field(plan->out, (fio_view){name, strlen(name)},
                           (fio_view){value, strlen(value)});
}

/* Content-Type, where the application set none among its fields. */
static int
write_type(head_plan *plan)
{
    PyObject *type = plan->response->content_type;
    if (type != NULL) {
        fio_view value = utf8_view(type);
        if (value.base == NULL) {
            return -1;
        }
        int status = fio_write_field(plan->out, (fio_view){"Content-Type", 12}, value);
        return status == FIO_E_BAD_REQUEST ? raise_bad_field(type) : status;
    }
    if (plan->own_type || plan->response->no_body || plan->length == 0) {
        return 0;
    }
    return write_name_value(plan, "Content-Type", "application/octet-stream");
}

/* Everything behind the application's own fields. */
static int
write_rest(head_plan *plan)
{
    const FioResponse *self = plan->response;
    const char *connection;
    if (write_type(plan) < 0
        || (plan->say_length && fio_write_length(plan->out, (uint64_t)plan->length) < 0)
        || (self->framed && write_name_value(plan, "Transfer-Encoding", "chunked") < 0)
        || fio_buf_append(plan->out, plan->extra.base, plan->extra.size) < 0
        || write_common(plan) < 0) {
        return -1;
    }
    connection = connection_word(plan);
    if (connection != NULL && write_name_value(plan, "Connection", connection) < 0) {
        return -1;
    }
    return fio_buf_append(plan->out, "\r\n", 2);
}

/* The reason as a view; *there says whether there is one of the application's own. */
static int
reason_view(const FioResponse *self, fio_view *view, bool *there)
{
    *there = self->reason != NULL;
    if (*there) {
        *view = utf8_view(self->reason);
    }
    return *there && view->base == NULL ? -1 : 0;
}

static int
write_full_head(head_plan *plan)
{
    fio_view reason;
    bool own_reason;
    if (reason_view(plan->response, &reason, &own_reason) < 0
        || fio_write_status(plan->out, plan->minor, plan->response->status,
                            own_reason ? &reason : NULL)
               != 0) {
        return -1;
    }
    if (write_own_fields(plan) < 0 || write_cookies(plan) < 0) {
        return -1;
    }
    return write_rest(plan);
}

/* No fields of the application's own: the head in one go. */
static int
write_plain_head(head_plan *plan)
{
    const FioResponse *self = plan->response;
    fio_view reason;
    fio_view type = {"application/octet-stream", 24};
    bool own_reason;
    bool say_type = self->content_type != NULL || (!self->no_body && plan->length != 0);
    if (reason_view(self, &reason, &own_reason) < 0) {
        return -1;
    }
    if (self->content_type != NULL && (type = utf8_view(self->content_type)).base == NULL) {
        return -1;
    }
    char lines[FIO_EXTRA_MAX + FIO_COMMON_SIZE];
    fio_view common = plan->common;
    if (plan->extra.size > 0) {
        assert(plan->extra.size <= FIO_EXTRA_MAX && common.size <= FIO_COMMON_SIZE);
        memcpy(lines, plan->extra.base, plan->extra.size);
        memcpy(lines + plan->extra.size, common.base, common.size);
        common = (fio_view){lines, plan->extra.size + common.size};
    }
    fio_simple_head head = {.minor = plan->minor,
                            .status = self->status,
                            .reason = own_reason ? &reason : NULL,
                            .content_type = say_type ? &type : NULL,
                            .length = plan->say_length ? plan->length : -1,
                            .common = common,
                            .connection = connection_word(plan)};
    int status = fio_write_simple_head(plan->out, &head);
    return status == FIO_E_BAD_REQUEST ? raise_bad_field(self->content_type) : status;
}

/* aiohttp: StreamResponse._prepare_headers */
static int
plan_framing(head_plan *plan, const fio_head *head)
{
    FioResponse *self = plan->response;
    self->no_body = has_no_body(self->status, head);
    self->framed = false;
    plan->say_length = plan->length >= 0;
    if (self->chunked && plan->minor == 0) {
        PyErr_SetString(PyExc_RuntimeError, "Using chunked encoding is forbidden for HTTP/1.0");
        return -1;
    }
    if (self->no_body) {
        /* aiohttp: a HEAD answer says the length of a body that is there, and no length of 0. */
        plan->say_length = plan->say_length && plan->length > 0
                           && !has_no_length(self->status, head);
        return 0;
    }
    if (plan->length < 0) {
        self->framed = plan->minor == 1;
        plan->keep_alive = plan->keep_alive && self->framed;
    }
    return 0;
}

static int
put_plain_head(head_plan *plan)
{
    const size_t before = fio_buf_size(plan->out);
    if (write_plain_head(plan) < 0) {
        plan->out->end = plan->out->start + before;
        return -1;
    }
    return 0;
}

static int
raise_answered(void)
{
    PyErr_SetString(PyExc_RuntimeError, "another response was already sent to this request");
    return -1;
}

/* Fields and cookies may run the application's code, which may write, answer or close itself: the
 * head is made apart and put behind the output there is then. */
static int
put_full_head(head_plan *plan, FioConn *conn)
{
    fio_buf head = {0};
    plan->out = &head;
    int status = write_full_head(plan);
    fio_buf *out = fio_conn_output(conn);
    if (status == 0 && out == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "Cannot write to closing transport");
        status = -1;
    }
    if (status == 0 && conn->answer_started) {
        status = raise_answered();
    }
    if (status == 0) {
        status = fio_buf_append(out, fio_buf_data(&head), fio_buf_size(&head));
    }
    fio_buf_free(&head);
    return status;
}

int
fio_response_start(FioResponse *self, FioRequest *request, FioConn *conn, int64_t length,
                   fio_view extra)
{
    fio_buf *out = fio_conn_output(conn);
    if (out == NULL) {
        PyErr_SetString(PyExc_ConnectionResetError, "Cannot write to closing transport");
        return -1;
    }
    if (conn->answer_started) {
        return raise_answered();
    }
    const fio_head *head = request->head;
    head_plan plan = {.response = self,
                      .out = out,
                      .minor = head->minor,
                      .length = length,
                      .keep_alive = conn->keep_alive && self->keep_alive != 0,
                      .extra = extra,
                      .common = fio_conn_common_fields(conn)};
    if (plan_framing(&plan, head) < 0) {
        return -1;
    }
    bool plain = self->headers == NULL && self->cookies == NULL && !self->framed;
    if ((plain ? put_plain_head(&plan) : put_full_head(&plan, conn)) < 0) {
        return -1;
    }
    self->left = plan.say_length && !self->no_body ? length : -1;
    self->keep_alive = plan.keep_alive;
    conn->keep_alive = plan.keep_alive;
    conn->answer_started = true;
    self->prepared = true;
    return 0;
}

/* -- the body -------------------------------------------------------------------------------------
 */

static int
put_bytes(FioConn *conn, fio_view data, PyObject *owner)
{
    if (owner != NULL && data.size >= SEND_BY_REFERENCE) {
        return fio_conn_send(conn, data.base, data.size, owner);
    }
    fio_buf *out = fio_conn_output(conn);
    return out == NULL ? 0 : fio_buf_append(out, data.base, data.size);
}

int
fio_response_write(FioResponse *self, FioConn *conn, fio_view data, PyObject *owner)
{
    if (self->no_body || data.size == 0) {
        return 0;
    }
    if (self->left >= 0) {
        /* aiohttp: what exceeds Content-Length is not sent. */
        data.size = (uint64_t)self->left < data.size ? (size_t)self->left : data.size;
        self->left -= (int64_t)data.size;
    }
    self->body_sent += data.size;
    fio_buf *out = fio_conn_output(conn);
    if (out == NULL) {
        return 0;
    }
    if (!self->framed) {
        return put_bytes(conn, data, owner);
    }
    if (fio_write_chunk_start(out, data.size) < 0 || put_bytes(conn, data, owner) < 0) {
        return -1;
    }
    out = fio_conn_output(conn);
    return out == NULL ? 0 : fio_write_chunk_end(out);
}

int
fio_response_finish(FioResponse *self, FioConn *conn)
{
    fio_buf *out = fio_conn_output(conn);
    if (self->framed && out != NULL && fio_write_last_chunk(out) < 0) {
        return -1;
    }
    if (self->left > 0) {
        /* Fewer bytes than Content-Length says: only the end of the connection can tell. */
        conn->keep_alive = false;
    }
    self->eof_sent = true;
    conn->answer_ended = true;
    Py_CLEAR(self->request);
    fio_conn_written(conn);
    return 0;
}

/* -- as a whole -----------------------------------------------------------------------------------
 */

static int
is_overridden(FioResponse *self, PyObject *name)
{
    PyObject *own = PyObject_GetAttr((PyObject *)Py_TYPE(self), name);
    PyObject *base = own == NULL ? NULL
                                 : PyObject_GetAttr((PyObject *)self->st->StreamResponseType, name);
    int different = base == NULL ? -1 : own != base;
    Py_XDECREF(own);
    Py_XDECREF(base);
    return different;
}

/* 1: Python has a part in sending it. */
static int
needs_coroutine(FioResponse *self, FioRequest *request)
{
    fio_state *st = self->st;
    if (self->cold || (request->match.route != NULL && request->match.route->signals)
        || (self->whole && self->body != NULL && !fio_body_is_plain(self->body))) {
        return 1;
    }
    PyTypeObject *type = Py_TYPE(self);
    if (type == st->ResponseType || (PyObject *)type == st->response_class) {
        return 0;
    }
    int different = is_overridden(self, st->str_prepare);
    return different != 0 ? different : is_overridden(self, st->str_write_eof);
}

static int
send_whole(FioResponse *self, FioRequest *request, FioConn *conn)
{
    int64_t length = fio_response_length(self);
    fio_view body = self->whole && self->body != NULL ? fio_body_view(self->body)
                                                      : (fio_view){NULL, 0};
    if (length < -1) {
        return -1;
    }
    if (self->whole && length >= 0 && (uint64_t)length != body.size
        && !has_no_body(self->status, request->head)) {
        PyErr_Format(PyExc_ValueError, "Content-Length is %lld, but the body has %zu bytes",
                     (long long)length, body.size);
        return -1;
    }
    PyObject *object = body.base == NULL ? NULL : Py_NewRef(self->body);
    int status = fio_response_start(self, request, conn, length, (fio_view){"", 0});
    if (status == 0 && object != NULL) {
        /* Looked at anew: the head may have run code that changed a bytearray. */
        PyObject *owner = PyByteArray_CheckExact(object) ? NULL : object;
        status = fio_response_write(self, conn, fio_body_view(object), owner);
    }
    Py_XDECREF(object);
    return status < 0 ? -1 : fio_response_finish(self, conn);
}

int
fio_response_send(FioResponse *response, FioRequest *request, FioConn *conn)
{
    FIO_HOLD_MONITOR_AND(&conn->super, response);
    if (fio_conn_output(conn) == NULL) {
        return 0;
    }
    if (response->eof_sent && conn->answer_ended) {
        return 0;
    }
    if (response->prepared && (response->request == NULL || response->request->conn != conn)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the response was sent before; every request needs one of its own");
        return -1;
    }
    if (response->prepared) {
        int different = is_overridden(response, response->st->str_write_eof);
        if (different != 0) {
            return different;
        }
        if (response->whole && response->body != NULL) {
            if (!fio_body_is_plain(response->body)) {
                return 1;
            }
            if (fio_response_write(response, conn, fio_body_view(response->body), NULL) < 0) {
                return -1;
            }
        }
        int slow = response->file_left > 0 ? fio_file_body(response, conn) : 0;
        return slow != 0 ? slow : fio_response_finish(response, conn);
    }
    int cold = needs_coroutine(response, request);
    if (cold != 0) {
        return cold;
    }
    return response->is_file ? fio_file_send(response, request, conn)
                             : send_whole(response, request, conn);
}
