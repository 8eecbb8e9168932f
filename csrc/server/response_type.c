/* Content-Type of a response: the media type and charset as attributes, and text bodies, which are
 * encoded by them. */

#include "base/num.h"
#include "base/text.h"
#include "http/token.h"
#include "server/request_parts.h"
#include "server/response_parts.h"

int
fio_response_content_type(FioResponse *self, PyObject **value)
{
    if (self->content_type != NULL) {
        *value = Py_NewRef(self->content_type);
        return 1;
    }
    return fio_response_find_field(self, "Content-Type", value);
}

static int
response_set_content_type(FioResponse *self, FIO_STEALS PyObject *value)
{
    if (value == NULL) {
        return -1;
    }
    Py_XSETREF(self->content_type, value);
    /* Where the fields are an object already, the value belongs there. */
    return self->headers != NULL && fio_response_headers(self) == NULL ? -1 : 0;
}

/* The field's text as UTF-8; base NULL when there is no field. *owner keeps it alive. -1: exception
 * set. */
static int
type_view(FioResponse *self, PyObject **owner, fio_view *view)
{
    *view = (fio_view){NULL, 0};
    int found = fio_response_content_type(self, owner);
    if (found <= 0) {
        return found;
    }
    Py_ssize_t size = 0;
    view->base = PyUnicode_Check(*owner) ? PyUnicode_AsUTF8AndSize(*owner, &size) : NULL;
    view->size = (size_t)size;
    if (view->base == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "Content-Type must be str");
        }
        Py_CLEAR(*owner);
        return -1;
    }
    return 0;
}

PyObject *
fio_response_get_content_type(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    PyObject *owner = NULL;
    fio_view field;
    if (type_view(self, &owner, &field) < 0) {
        return NULL;
    }
    PyObject *type = fio_media_type(self->st, field);
    Py_XDECREF(owner);
    return type;
}

PyObject *
fio_response_get_charset(FioResponse *self, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    PyObject *owner = NULL;
    fio_view field;
    if (type_view(self, &owner, &field) < 0) {
        return NULL;
    }
    fio_view charset = fio_content_type_parameter(field, "charset");
    PyObject *value = charset.base == NULL ? Py_NewRef(Py_None) : fio_text_new(charset, NULL);
    Py_XDECREF(owner);
    return value;
}

/* "type; a=b; charset=c" of `type` (a str), the parameters of `field` but its charset, and the new
 * charset (a str or NULL). */
static PyObject *
join_type(PyObject *type, fio_view field, PyObject *charset)
{
    PyObject *joined = Py_NewRef(type);
    const char *at = field.base;
    const char *end = field.base + field.size;
    if (field.base != NULL) {
        (void)fio_next_parameter(&at, end);
    }
    while (joined != NULL && at < end) {
        fio_view part = fio_trim(fio_next_parameter(&at, end));
        if (part.size == 0 || (part.size >= 8 && fio_ascii_equal(part.base, "charset=", 8))) {
            continue;
        }
        PyObject *text = fio_text_new(part, NULL);
        Py_SETREF(joined, text == NULL ? NULL : PyUnicode_FromFormat("%U; %U", joined, text));
        Py_XDECREF(text);
    }
    if (joined != NULL && charset != NULL) {
        Py_SETREF(joined, PyUnicode_FromFormat("%U; charset=%U", joined, charset));
    }
    return joined;
}

int
fio_response_put_content_type(FioResponse *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    PyObject *owner = NULL;
    fio_view field;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete content_type");
        return -1;
    }
    if (type_view(self, &owner, &field) < 0) {
        return -1;
    }
    fio_view old = fio_content_type_parameter(field, "charset");
    PyObject *type = PyObject_Str(value);
    PyObject *charset = NULL;
    if (old.base != NULL && type != NULL) {
        charset = fio_text_new(old, NULL);
    }
    bool failed = type == NULL || (old.base != NULL && charset == NULL);
    PyObject *joined = failed ? NULL : join_type(type, field, charset);
    Py_XDECREF(charset);
    Py_XDECREF(type);
    Py_XDECREF(owner);
    return response_set_content_type(self, joined);
}

int
fio_response_put_charset(FioResponse *self, PyObject *value, void *Py_UNUSED(closure))
{
    FIO_HOLD(self);
    PyObject *type = fio_response_get_content_type(self, NULL);
    if (type == NULL) {
        return -1;
    }
    if (PyUnicode_Compare(type, self->st->str_octet_stream) == 0) {
        PyErr_SetString(PyExc_RuntimeError, "Setting charset for application/octet-stream "
                                            "doesn't make sense, setup content_type first");
        Py_DECREF(type);
        return -1;
    }
    PyObject *owner = NULL;
    fio_view field;
    PyObject *charset = NULL;
    if (value != NULL && value != Py_None) {
        PyObject *text = PyObject_Str(value);
        charset = text == NULL ? NULL : PyObject_CallMethod(text, "lower", NULL);
        Py_XDECREF(text);
    }
    if (PyErr_Occurred() || type_view(self, &owner, &field) < 0) {
        Py_DECREF(type);
        Py_XDECREF(charset);
        return -1;
    }
    PyObject *joined = join_type(type, field, charset);
    Py_DECREF(type);
    Py_XDECREF(charset);
    Py_XDECREF(owner);
    return response_set_content_type(self, joined);
}

/* -- text -----------------------------------------------------------------------------------------
 */

/* Puts "text/plain" and "utf-8" where type and charset are missing. */
static int
default_text_type(FioResponse *self)
{
    PyObject *type = fio_response_get_content_type(self, NULL);
    if (type == NULL) {
        return -1;
    }
    int status = 0;
    if (PyUnicode_Compare(type, self->st->str_octet_stream) == 0) {
        status = fio_response_put_content_type(self, self->st->str_text_plain, NULL);
    }
    Py_DECREF(type);
    PyObject *charset = status < 0 ? NULL : fio_response_get_charset(self, NULL);
    if (charset == Py_None) {
        status = fio_response_put_charset(self, self->st->str_utf8, NULL);
    }
    Py_XDECREF(charset);
    return charset == NULL ? -1 : status;
}

int
fio_response_set_text(FioResponse *self, PyObject *text)
{
    if (text == NULL || !PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "text argument must be str (%R)",
                     text == NULL ? Py_None : (PyObject *)Py_TYPE(text));
        return -1;
    }
    if (default_text_type(self) < 0) {
        return -1;
    }
    PyObject *charset = fio_response_get_charset(self, NULL);
    const char *encoding = charset == NULL ? NULL : PyUnicode_AsUTF8(charset);
    PyObject *body = encoding == NULL ? NULL : PyUnicode_AsEncodedString(text, encoding, NULL);
    Py_XDECREF(charset);
    if (body == NULL) {
        return -1;
    }
    Py_XSETREF(self->body, body);
    return 0;
}

PyObject *
fio_response_get_text(FioResponse *self)
{
    if (self->body == NULL) {
        Py_RETURN_NONE;
    }
    if (PyUnicode_CheckExact(self->body)) {
        return Py_NewRef(self->body);
    }
    PyObject *charset = fio_response_get_charset(self, NULL);
    if (charset == Py_None) {
        Py_SETREF(charset, Py_NewRef(self->st->str_utf8));
    }
    PyObject *text = charset == NULL ? NULL
                                     : PyObject_CallMethod(self->body, "decode", "O", charset);
    Py_XDECREF(charset);
    return text;
}
