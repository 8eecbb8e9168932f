#ifndef FIO_SERVER_RESPONSE_PARTS_H
#define FIO_SERVER_RESPONSE_PARTS_H

/* What the files of the response types share: response.c (life and attributes), response_new.c
 * (constructors, JSON), response_type.c (Content-Type), response_send.c (head and body on the
 * wire), stream_response.c (prepare, write, write_eof), file.c. */

#include "server/conn.h"
#include "server/file.h"
#include "server/request.h"
#include "server/response.h"

/* -- response.c -- */

/* A response of `type` (one of the three or a subtype) with nothing set but the defaults. */
FIO_MUST_CHECK FioResponse *fio_response_alloc(fio_state *st, PyTypeObject *type);
/* The application's header fields, made now if need be. Borrowed; NULL: exception set. */
FIO_MUST_CHECK FIO_BORROWED PyObject *fio_response_headers(FioResponse *self);
/* status (any int-like) and reason (str or None): ValueError for what cannot be sent. */
FIO_MUST_CHECK int fio_response_set_status(FioResponse *self, PyObject *status, PyObject *reason);
/* Body of a Response from any object; payload objects by self._make_payload(). */
FIO_MUST_CHECK int fio_response_set_body(FioResponse *self, PyObject *body);
/* Sets or replaces a field of fio_response_headers(). */
FIO_MUST_CHECK int fio_response_set_field(FioResponse *self, const char *name, PyObject *value);
/* Its value, a new reference: 1 there, 0 not there, -1 exception set. Name in any case. */
FIO_MUST_CHECK int fio_response_find_field(FioResponse *self, const char *name, PyObject **value);
FIO_MUST_CHECK int fio_response_drop_field(FioResponse *self, const char *name);

/* -- response_new.c -- */

int fio_response_init(FioResponse *self, PyObject *args, PyObject *kwargs);
int fio_stream_response_init(FioResponse *self, PyObject *args, PyObject *kwargs);
int fio_file_response_init(FioResponse *self, PyObject *args, PyObject *kwargs);
PyObject *fio_response_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf,
                                  PyObject *kwnames);
extern PyMethodDef fio_response_functions[];

/* -- response_type.c -- */

PyObject *fio_response_get_content_type(FioResponse *self, void *closure);
int fio_response_put_content_type(FioResponse *self, PyObject *value, void *closure);
PyObject *fio_response_get_charset(FioResponse *self, void *closure);
int fio_response_put_charset(FioResponse *self, PyObject *value, void *closure);
/* The whole Content-Type field value as str, a new reference: as fio_response_find_field(). */
FIO_MUST_CHECK int fio_response_content_type(FioResponse *self, PyObject **value);
/* text: encoded with the charset there, which is set if none is. */
FIO_MUST_CHECK int fio_response_set_text(FioResponse *self, PyObject *text);
FIO_MUST_CHECK PyObject *fio_response_get_text(FioResponse *self);

/* -- response_send.c -- */

/* The bytes of a body that is bytes, bytearray or ASCII str. */
fio_view fio_body_view(PyObject *body);
/* True for such a body. */
bool fio_body_is_plain(PyObject *body);
/* Writes the head: 0, or -1 with nothing written. `length` of the body, -1 when it is unknown;
 * `extra` are more field lines of our own with their CRLFs, at most FIO_EXTRA_MAX bytes. */
FIO_MUST_CHECK int fio_response_start(FioResponse *self, FioRequest *request, FioConn *conn,
                                      int64_t length, fio_view extra);
#define FIO_EXTRA_MAX 512
/* Body bytes, framed; `owner` keeps them alive and unchanged, or is NULL: they are copied. */
FIO_MUST_CHECK int fio_response_write(FioResponse *self, FioConn *conn, fio_view data,
                                      PyObject *owner);
/* The end of the body. */
FIO_MUST_CHECK int fio_response_finish(FioResponse *self, FioConn *conn);
/* Length of the body as far as it is known when the head is written, else -1; -2 exception set. */
int64_t fio_response_length(FioResponse *self);

/* -- stream_response.c -- */

/* Holds a response and, if it was prepared, its connection (base/hold.h). */
#if FIO_GIL
#define FIO_HOLD_PREPARED(self) ((void)0)
#else
void fio_response_hold(fio_hold_two *hold, FioResponse *self);
#define FIO_HOLD_PREPARED(self)                                           \
    __attribute__((cleanup(fio_hold_two_end))) fio_hold_two fio_prepared; \
    fio_response_hold(&fio_prepared, self)
#endif

PyObject *fio_stream_response_start(FioResponse *self, PyObject *request);
PyObject *fio_stream_response_prepare(FioResponse *self, PyObject *request);
PyObject *fio_stream_response_write(FioResponse *self, PyObject *data);
PyObject *fio_stream_response_drain(FioResponse *self, PyObject *ignored);
PyObject *fio_stream_response_write_eof(FioResponse *self, PyObject *const *args, Py_ssize_t nargs,
                                        PyObject *kwnames);
extern const char fio_stream_response_start_doc[];
extern const char fio_stream_response_prepare_doc[];
extern const char fio_stream_response_write_doc[];
extern const char fio_stream_response_drain_doc[];
extern const char fio_stream_response_write_eof_doc[];

/* -- response_meta.c -- */

FIO_MUST_CHECK int fio_response_meta_setup(PyObject *module);

/* -- file_response.c -- */

/* Looks the file up and decides on the answer: status, header fields (all in response.headers), and
 * which bytes. */
FIO_MUST_CHECK int fio_file_describe(FioResponse *self, FioRequest *request);
/* Head and body of a FileResponse that was not prepared. 0 sent, 1 as fio_file_body(), -1. */
FIO_MUST_CHECK int fio_file_send(FioResponse *self, FioRequest *request, FioConn *conn);
/* The bytes of the file behind the head. 0; 1: await fio_file_send_rest(); -1 exception set. */
FIO_MUST_CHECK int fio_file_body(FioResponse *self, FioConn *conn);

/* -- file_send.c, folder.c -- */

/* An awaitable that writes the file bit by bit, then calls write_eof(); gives the response. */
FIO_MUST_CHECK PyObject *fio_file_send_rest(FioResponse *response);
FIO_MUST_CHECK int fio_file_send_setup_types(PyObject *module);
FIO_MUST_CHECK int fio_folder_setup_types(PyObject *module);

#endif
