#ifndef FIO_SERVER_REQUEST_PARTS_H
#define FIO_SERVER_REQUEST_PARTS_H

/* What the files of the Request type share: request.c (its life), request_fields.c (attributes
 * from the head), request_body.c (reading the body), conditions.c. */

#include "server/request.h"

extern PyGetSetDef fio_request_fields[];
extern PyMethodDef fio_request_methods[];

/* request_body.c */
PyObject *fio_request_read(FioRequest *self, PyObject *ignored);
PyObject *fio_request_text(FioRequest *self, PyObject *ignored);
PyObject *fio_request_json(FioRequest *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames);
PyObject *fio_request_release(FioRequest *self, PyObject *ignored);
PyObject *fio_request_content(FioRequest *self, void *closure);
/* True while there is body that was not read. */
bool fio_request_can_read(const FioRequest *self);
FIO_MUST_CHECK int fio_request_body_setup_types(PyObject *module);

/* conditions.c: the conditional fields and Range as aiohttp shows them. */
PyObject *fio_request_date_field(FioRequest *self, void *field_id);
PyObject *fio_request_etags_field(FioRequest *self, void *field_id);
PyObject *fio_request_http_range(FioRequest *self, void *closure);

/* The value of the first field of a known id; base NULL when there is none. */
static inline fio_view
fio_request_field(const FioRequest *self, fio_field_id id)
{
    const fio_field *field = fio_head_find(self->head, id);
    return field == NULL ? (fio_view){NULL, 0} : fio_span_view(self->base, field->value);
}

/* The media type of a Content-Type field (base NULL: none) in lower case, str; as aiohttp
 * "application/octet-stream" for what is missing or malformed. */
FIO_MUST_CHECK PyObject *fio_media_type(fio_state *st, fio_view field);

/* The parameter that begins at `*at`, up to the next ";" that is not in a quoted string. The first
 * one is the media type itself. */
fio_view fio_next_parameter(const char **at, const char *end);

/* The value of the parameter `name` of a Content-Type field; base NULL when it has none or an
 * empty one. Quotes
 * are not part of it. */
fio_view fio_content_type_parameter(fio_view field, const char *name);

#endif
