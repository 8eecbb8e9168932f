/* Entity tags, dates and ranges of conditional requests, for request.if_match and its like and for
 * files. */

#include "server/conditions.h"

#include "base/num.h"
#include "base/text.h"
#include "server/request_parts.h"

/* etagc of RFC 9110 8.8.3 */
static bool
is_etag_char(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte == '!' || (byte >= 0x23 && byte <= 0x7e) || byte >= 0x80;
}

static const char *
skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return at;
}

bool
fio_etag_next(const char **at, const char *end, fio_etag *etag)
{
    const char *from = *at;
    etag->weak = end - from >= 2 && from[0] == 'W' && from[1] == '/';
    from += etag->weak ? 2 : 0;
    if (from >= end || *from != '"') {
        return false;
    }
    const char *value = ++from;
    while (from < end && is_etag_char(*from)) {
        from++;
    }
    if (from == value || from >= end || *from != '"') {
        return false;
    }
    etag->value = (fio_view){value, (size_t)(from - value)};
    from++;
    const char *comma = skip_space(from, end);
    if (comma < end && *comma == ',') {
        *at = skip_space(comma + 1, end);
        return true;
    }
    *at = end;
    return from == end;
}

bool
fio_etag_listed(fio_view list, fio_view etag, bool weak)
{
    if (list.size == 1 && list.base[0] == '*') {
        return true;
    }
    const char *at = list.base;
    const char *end = list.base + list.size;
    fio_etag found;
    while (at < end && fio_etag_next(&at, end, &found)) {
        if ((weak || !found.weak) && found.value.size == etag.size
            && memcmp(found.value.base, etag.base, etag.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Digits from `*at` on; false when there are none. Larger numbers than fit count as the largest. */
static bool
read_number(const char **at, const char *end, uint64_t *number)
{
    const char *from = *at;
    uint64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9') {
        uint64_t digit = (uint64_t)(**at - '0');
        value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
        (*at)++;
    }
    *number = value;
    return *at > from;
}

bool
fio_byte_range_parse(fio_view field, fio_byte_range *range)
{
    static const char unit[] = "bytes=";
    const size_t unit_size = sizeof(unit) - 1;
    if (field.size < unit_size || !fio_ascii_equal(field.base, unit, unit_size)) {
        return false;
    }
    const char *at = field.base + unit_size;
    const char *end = field.base + field.size;
    range->has_first = read_number(&at, end, &range->first);
    if (at >= end || *at != '-') {
        return false;
    }
    at++;
    range->has_last = read_number(&at, end, &range->last);
    if (at != end || (!range->has_first && !range->has_last)) {
        return false;
    }
    return !range->has_first || !range->has_last || range->first <= range->last;
}

/* -- as attributes of a request -------------------------------------------------------------------
 */

PyObject *
fio_request_date_field(FioRequest *self, void *field_id)
{
    FIO_HOLD_MONITOR(self);
    fio_view field = fio_request_field(self, (fio_field_id)(uintptr_t)field_id);
    int64_t seconds = 0;
    if (field.base == NULL || !fio_http_date_parse(field, &seconds)) {
        Py_RETURN_NONE;
    }
    PyObject *from_timestamp = fio_lazy_dt_fromtimestamp(self->st);
    PyObject *utc = from_timestamp == NULL ? NULL : fio_lazy_dt_utc(self->st);
    return utc == NULL ? NULL
                       : PyObject_CallFunction(from_timestamp, "LO", (long long)seconds, utc);
}

static PyObject *
etag_object(fio_state *st, const fio_etag *etag)
{
    PyObject *type = fio_lazy_web_ETag(st);
    PyObject *value = type == NULL ? NULL : fio_text_new(etag->value, "surrogateescape");
    PyObject *object = value == NULL ? NULL
                                     : PyObject_CallFunctionObjArgs(
                                           type, value, etag->weak ? Py_True : Py_False, NULL);
    Py_XDECREF(value);
    return object;
}

static int
append_etag(fio_state *st, PyObject *list, const fio_etag *etag)
{
    PyObject *object = etag_object(st, etag);
    int status = object == NULL ? -1 : PyList_Append(list, object);
    Py_XDECREF(object);
    return status;
}

PyObject *
fio_request_etags_field(FioRequest *self, void *field_id)
{
    FIO_HOLD_MONITOR(self);
    fio_view field = fio_request_field(self, (fio_field_id)(uintptr_t)field_id);
    if (field.size == 0) {
        Py_RETURN_NONE;
    }
    PyObject *list = PyList_New(0);
    const char *at = field.base;
    const char *end = field.base + field.size;
    fio_etag etag = {{"*", 1}, false};
    int status = list == NULL ? -1 : 0;
    if (status == 0 && field.size == 1 && field.base[0] == '*') {
        status = append_etag(self->st, list, &etag);
    }
    while (status == 0 && at < end && fio_etag_next(&at, end, &etag)) {
        status = append_etag(self->st, list, &etag);
    }
    PyObject *result = status < 0 ? NULL : PyList_AsTuple(list);
    Py_XDECREF(list);
    return result;
}

/* An int, negative if so said, or None. */
static PyObject *
bound_object(bool there, uint64_t value, bool negative)
{
    if (!there) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLongLong(negative ? -(long long)value : (long long)value);
}

PyObject *
fio_request_http_range(FioRequest *self, void *Py_UNUSED(closure))
{
    FIO_HOLD_MONITOR(self);
    fio_view field = fio_request_field(self, FIO_FIELD_RANGE);
    fio_byte_range range = {false, false, 0, 0};
    if (field.base != NULL && !fio_byte_range_parse(field, &range)) {
        PyErr_SetString(PyExc_ValueError, "range not in acceptable format");
        return NULL;
    }
    bool tail = !range.has_first && range.has_last;
    PyObject *start = bound_object(range.has_first || tail, tail ? range.last : range.first, tail);
    uint64_t stop_value = range.last < INT64_MAX ? range.last + 1 : INT64_MAX;
    PyObject *stop = bound_object(range.has_last && !tail, stop_value, false);
    PyObject *step = PyLong_FromLong(1);
    PyObject *slice = start == NULL || stop == NULL || step == NULL
                          ? NULL
                          : PySlice_New(start, stop, step);
    Py_XDECREF(start);
    Py_XDECREF(stop);
    Py_XDECREF(step);
    return slice;
}
