/* FileResponse: the answer for a file, with its validators, the client's conditions (RFC 9110 13),
 * one range (RFC 9110 14) and compressed siblings. What aiohttp answers, it answers; ranges are
 * looked at for GET alone. */

#include "base/num.h"
#include "http/token.h"
#include "http/writer.h"
#include "server/conditions.h"
#include "server/request_parts.h"
#include "server/response_parts.h"

#include <errno.h>
#include <limits.h>

#define SECOND INT64_C(1000000000)

/* A header field of our own: a constant name and a value that has room here. */
typedef struct {
    const char *name;
    size_t size;
    char value[80];
} own_field;

typedef struct {
    FioResponse *response;
    const FioRequest *request;
    fio_file *file;
    const char *encoding; /* of a compressed sibling, or NULL */
    bool has_length;      /* Content-Length is said: `count` */
    int64_t count;
    size_t field_count;
    own_field fields[6];
} file_answer;

static void
add_field(file_answer *answer, const char *name, const char *value, size_t size)
{
    own_field *field = &answer->fields[answer->field_count++];
    assert(answer->field_count <= 6 && size <= sizeof(field->value));
    field->name = name;
    field->size = size;
    memcpy(field->value, value, size);
}

/* -- the fields -----------------------------------------------------------------------------------
 */

static void
add_validators(file_answer *answer)
{
    const fio_file *file = answer->file;
    char etag[FIO_FILE_ETAG_MAX + 2];
    etag[0] = '"';
    memcpy(etag + 1, file->etag, file->etag_size);
    etag[file->etag_size + 1] = '"';
    add_field(answer, "ETag", etag, file->etag_size + 2);
    char date[FIO_HTTP_DATE_SIZE];
    /* aiohttp: rounded up, so that the file is not newer than it says. */
    int64_t seconds = file->mtime / SECOND + (file->mtime % SECOND > 0);
    fio_http_date(date, seconds);
    add_field(answer, "Last-Modified", date, sizeof(date));
}

static void
add_content_range(file_answer *answer, bool satisfied, int64_t first, int64_t count)
{
    char text[80];
    int size = satisfied
                   ? PyOS_snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)first,
                                   (long long)(first + count - 1), (long long)answer->file->size)
                   : PyOS_snprintf(text, sizeof(text), "bytes */%lld",
                                   (long long)answer->file->size);
    add_field(answer, "Content-Range", text, (size_t)size);
}

/* -- conditions -----------------------------------------------------------------------------------
 */

static fio_view
etag_of(const fio_file *file)
{
    return (fio_view){file->etag, file->etag_size};
}

/* The moment a date field names, in nanoseconds; false when there is none. */
static bool
date_field(const FioRequest *request, fio_field_id id, int64_t *when)
{
    fio_view field = fio_request_field(request, id);
    int64_t seconds = 0;
    if (field.base == NULL || !fio_http_date_parse(field, &seconds)) {
        return false;
    }
    /* The year 9999 is beyond what nanoseconds reach, and after all files all the same. */
    const int64_t most = INT64_MAX / SECOND;
    *when = (seconds > most ? most : seconds < -most ? -most : seconds) * SECOND;
    return true;
}

/* RFC 9110 13.2.2. 0: the file is to be sent; else 304 or 412. */
static int
check_conditions(const FioRequest *request, const fio_file *file)
{
    int64_t when = 0;
    fio_view match = fio_request_field(request, FIO_FIELD_IF_MATCH);
    fio_view none_match = fio_request_field(request, FIO_FIELD_IF_NONE_MATCH);
    if (match.size > 0) {
        if (!fio_etag_listed(match, etag_of(file), false)) {
            return 412;
        }
    }
    else if (date_field(request, FIO_FIELD_IF_UNMODIFIED_SINCE, &when) && file->mtime > when) {
        return 412;
    }
    if (none_match.size > 0) {
        return fio_etag_listed(none_match, etag_of(file), true) ? 304 : 0;
    }
    return date_field(request, FIO_FIELD_IF_MODIFIED_SINCE, &when) && file->mtime <= when ? 304 : 0;
}

/* RFC 9110 13.1.5: does the Range field count? */
static bool
range_applies(const FioRequest *request, const fio_file *file)
{
    fio_view field = fio_request_field(request, FIO_FIELD_IF_RANGE);
    if (field.base == NULL) {
        return true;
    }
    const char *at = field.base;
    fio_etag etag;
    if (fio_etag_next(&at, field.base + field.size, &etag)) {
        return !etag.weak && etag.value.size == file->etag_size
               && memcmp(etag.value.base, file->etag, file->etag_size) == 0;
    }
    int64_t when = 0;
    return date_field(request, FIO_FIELD_IF_RANGE, &when) && file->mtime <= when;
}

/* Which bytes the Range field asks for: 206, 200 when there is none that counts, 416. */
static int
choose_range(const FioRequest *request, const fio_file *file, int64_t *first, int64_t *count)
{
    fio_view field = fio_request_field(request, FIO_FIELD_RANGE);
    *first = 0;
    *count = file->size;
    if (field.base == NULL || request->head->method != FIO_METHOD_GET
        || !range_applies(request, file)) {
        return 200;
    }
    fio_byte_range range;
    if (!fio_byte_range_parse(field, &range)) {
        return 416;
    }
    uint64_t size = (uint64_t)file->size;
    if (!range.has_first) {
        uint64_t tail = range.last < size ? range.last : size;
        *first = (int64_t)(size - tail);
        *count = (int64_t)tail;
        return tail == 0 ? 416 : 206;
    }
    if (range.first >= size) {
        return 416;
    }
    uint64_t end = range.has_last && range.last < size - 1 ? range.last + 1 : size;
    *first = (int64_t)range.first;
    *count = (int64_t)(end - range.first);
    return 206;
}

/* -- the file -------------------------------------------------------------------------------------
 */

/* Is the coding among those the client accepts? aiohttp looks for the word in the field. */
static bool
accepts(const FioRequest *request, const char *coding)
{
    const fio_head *head = request->head;
    size_t size = strlen(coding);
    for (uint32_t i = 0; i < head->field_count; i++) {
        fio_view name = fio_span_view(request->base, head->fields[i].name);
        if (name.size != 15 || !fio_ascii_equal(name.base, "accept-encoding", 15)) {
            continue;
        }
        fio_view value = fio_span_view(request->base, head->fields[i].value);
        for (size_t at = 0; at + size <= value.size; at++) {
            if (fio_ascii_equal(value.base + at, coding, size)) {
                return true;
            }
        }
        return false;
    }
    return false;
}

/* The compressed sibling `path` + `suffix` when there is one. 1 found, 0 not, -1. */
static int
find_sibling(FioResponse *self, fio_view path, const char *suffix, fio_file **file)
{
    char text[PATH_MAX];
    size_t suffix_size = strlen(suffix);
    if (path.size + suffix_size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, path.base, path.size);
    memcpy(text + path.size, suffix, suffix_size + 1);
    fio_file_links links = self->no_links ? FIO_FILE_NO_LINKS : FIO_FILE_NO_LINK;
    int status = fio_file_lookup(self->st, text, path.size + suffix_size, links, file);
    return status < 0 ? -1 : status == 0;
}

/* Looks up the file or a compressed sibling of it. 0, an errno value, or -1. */
static int
find_file(file_answer *answer)
{
    static const struct {
        const char *coding;
        const char *suffix;
    } siblings[] = {{"br", ".br"}, {"gzip", ".gz"}};
    FioResponse *self = answer->response;
    if (self->body == NULL || !PyBytes_Check(self->body)) {
        PyErr_SetString(PyExc_RuntimeError, "FileResponse.__init__() was not called");
        return -1;
    }
    fio_view path = fio_body_view(self->body);
    for (size_t i = 0; i < sizeof(siblings) / sizeof(siblings[0]); i++) {
        if (!accepts(answer->request, siblings[i].coding)) {
            continue;
        }
        int found = find_sibling(self, path, siblings[i].suffix, &answer->file);
        if (found != 0) {
            answer->encoding = siblings[i].coding;
            return found < 0 ? -1 : 0;
        }
    }
    if (self->file != NULL) { /* a folder looked it up already */
        answer->file = self->file;
        answer->file->holders++;
        return 0;
    }
    fio_file_links links = self->no_links ? FIO_FILE_NO_LINKS : FIO_FILE_ANY_LINKS;
    return fio_file_lookup(self->st, path.base, path.size, links, &answer->file);
}

/* The media type by the name that was asked for, in self->content_type. */
static int
set_type(file_answer *answer)
{
    FioResponse *self = answer->response;
    PyObject *own = NULL;
    int found = fio_response_content_type(self, &own);
    Py_XDECREF(own);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    fio_file *file = answer->file;
    if (file->type == NULL) {
        PyObject *guess = fio_lazy_web_guess_type(self->st);
        PyObject *path = guess == NULL
                             ? NULL
                             : PyUnicode_DecodeFSDefaultAndSize(PyBytes_AS_STRING(self->body),
                                                                PyBytes_GET_SIZE(self->body));
        file->type = path == NULL ? NULL : PyObject_CallOneArg(guess, path);
        Py_XDECREF(path);
        if (file->type == NULL) {
            return -1;
        }
    }
    self->content_type = Py_NewRef(file->type);
    return 0;
}

/* -- the answer -----------------------------------------------------------------------------------
 */

static void
set_status(FioResponse *self, int status)
{
    self->status = status;
    Py_CLEAR(self->reason);
}

static int
describe_file(file_answer *answer)
{
    FioResponse *self = answer->response;
    int64_t first = 0;
    int64_t count = 0;
    int status = choose_range(answer->request, answer->file, &first, &count);
    if (status == 416) {
        set_status(self, status);
        add_content_range(answer, false, 0, 0);
        answer->has_length = true;
        return 0;
    }
    if (set_type(answer) < 0) {
        return -1;
    }
    if (answer->encoding != NULL) {
        add_field(answer, "Content-Encoding", answer->encoding, strlen(answer->encoding));
        add_field(answer, "Vary", "Accept-Encoding", 15);
    }
    add_validators(answer);
    add_field(answer, "Accept-Ranges", "bytes", 5);
    if (status == 206) {
        set_status(self, status);
        add_content_range(answer, true, first, count);
    }
    answer->has_length = true;
    answer->count = count;
    self->file_offset = first;
    self->file_left = count;
    return 0;
}

/* Fills `answer` (zeroed but for response and request). The hold on the file is the response's. */
static int
decide(file_answer *answer)
{
    FioResponse *self = answer->response;
    int error = find_file(answer);
    if (error < 0) {
        return -1;
    }
    if (error != 0) {
        /* aiohttp: what is no regular file must not be read, all the rest is not there. */
        bool forbidden = error == EACCES || error == EPERM || error == EISDIR || error == EINVAL;
        set_status(self, forbidden ? 403 : 404);
        answer->has_length = true;
        return 0;
    }
    if (self->file != NULL) {
        fio_file_release(self->file);
    }
    self->file = answer->file;
    int status = check_conditions(answer->request, answer->file);
    if (status == 0) {
        return describe_file(answer);
    }
    set_status(self, status);
    if (status == 304) {
        add_validators(answer);
    }
    else {
        answer->has_length = true;
    }
    return 0;
}

/* All fields into response.headers. */
static int
fields_to_headers(const file_answer *answer)
{
    FioResponse *self = answer->response;
    if (fio_response_headers(self) == NULL || fio_response_drop_field(self, "Content-Length") < 0) {
        return -1;
    }
    for (size_t i = 0; i < answer->field_count; i++) {
        const own_field *field = &answer->fields[i];
        PyObject *value = PyUnicode_FromStringAndSize(field->value, (Py_ssize_t)field->size);
        int status = fio_response_set_field(self, field->name, value);
        Py_XDECREF(value);
        if (status < 0) {
            return -1;
        }
    }
    self->content_length = answer->has_length && !self->chunked ? answer->count : -1;
    return fio_response_headers(self) == NULL ? -1 : 0;
}

int
fio_file_describe(FioResponse *self, FioRequest *request)
{
    file_answer answer = {.response = self, .request = request};
    return decide(&answer) < 0 ? -1 : fields_to_headers(&answer);
}

/* The fields as lines; returns their size. */
static size_t
fields_to_lines(const file_answer *answer, char lines[FIO_EXTRA_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < answer->field_count; i++) {
        const own_field *field = &answer->fields[i];
        size_t name_size = strlen(field->name);
        assert(used + name_size + field->size + 4 <= FIO_EXTRA_MAX);
        memcpy(lines + used, field->name, name_size);
        memcpy(lines + used + name_size, ": ", 2);
        memcpy(lines + used + name_size + 2, field->value, field->size);
        used += name_size + 2 + field->size;
        memcpy(lines + used, "\r\n", 2);
        used += 2;
    }
    return used;
}

int
fio_file_body(FioResponse *self, FioConn *conn)
{
    if (self->no_body) {
        self->file_left = 0;
        return 0;
    }
    if (self->cold || self->framed) {
        return 1; /* write() compresses or frames */
    }
    const fio_file *file = self->file;
    int64_t offset = self->file_offset;
    int64_t count = self->file_left;
    if (file->content != NULL) {
        self->file_left = 0;
        fio_view bytes = {PyBytes_AS_STRING(file->content) + offset, (size_t)count};
        return fio_response_write(self, conn, bytes, file->content);
    }
    int status = fio_conn_send_file(conn, file->fd, offset, (size_t)count);
    if (status == 0) {
        self->file_left = 0;
        self->left = 0;
        self->body_sent += (uint64_t)count;
    }
    return status;
}

int
fio_file_send(FioResponse *self, FioRequest *request, FioConn *conn)
{
    file_answer answer = {.response = self, .request = request};
    char lines[FIO_EXTRA_MAX];
    fio_view extra = {lines, 0};
    if (decide(&answer) < 0) {
        return -1;
    }
    /* Where the application has fields of its own, ours replace those of the same name. */
    if (self->headers != NULL || self->chunked) {
        if (fields_to_headers(&answer) < 0) {
            return -1;
        }
    }
    else {
        extra.size = fields_to_lines(&answer, lines);
    }
    int64_t length = answer.has_length && !self->chunked ? answer.count : -1;
    if (fio_response_start(self, request, conn, length, extra) < 0) {
        return -1;
    }
    int status = self->file_left > 0 ? fio_file_body(self, conn) : 0;
    if (status > 0) {
        Py_XSETREF(self->request, (FioRequest *)Py_NewRef((PyObject *)request));
    }
    return status != 0 ? status : fio_response_finish(self, conn);
}
