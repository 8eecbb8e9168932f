#ifndef FIO_NET_TLS_H
#define FIO_NET_TLS_H

/* The hot half of TLS over a transport: a link that decrypts what the carrier brings and encrypts
 * what the application writes, through ssl.MemoryBIO and SSLObject. The cold half -- handshake,
 * shutdown, time-outs, errors -- is asyncio.sslproto.SSLProtocol of the running Python, which
 * fastaio.tls.TLSProtocol inherits beside this type. Driving OpenSSL directly would replace the
 * four functions of tls_bio.c and nothing else. */

#include "net/link.h"

/* The members carry the names that SSLProtocol's own methods use. */
typedef struct {
    FioLink super;
    fio_state *st;          /* borrowed: the type keeps the module alive */
    PyObject *sslobj;       /* owned: ssl.SSLObject */
    PyObject *engine;       /* owned: sslobj._sslobj, looked up once */
    PyObject *incoming;     /* owned: ssl.MemoryBIO, ciphertext from the peer */
    PyObject *outgoing;     /* owned: ssl.MemoryBIO, ciphertext to the peer */
    PyObject *transport;    /* owned: the carrier's transport, None once lost */
    PyObject *app_protocol; /* owned: None once lost */
    PyObject *state;        /* owned: sslproto.SSLProtocolState */
    PyObject *backlog;      /* owned: deque of data written before the handshake was over */
    Py_ssize_t backlog_size;
    Py_ssize_t incoming_high;
    Py_ssize_t incoming_low;
    Py_ssize_t outgoing_high;
    Py_ssize_t outgoing_low;
    char app_is_buffered;
    char app_reading_paused;
    char app_writing_paused;
    char ssl_reading_paused;
    char ssl_writing_paused;
    bool engine_keeps; /* it may keep what its methods are given: it is the program's */
    const char *rest;  /* what on_data() has not handed in yet; void outside of it */
    size_t rest_size;
    size_t record_left;      /* bytes that are missing of the record handed in last */
    unsigned char header[5]; /* of the next one, as far as it has come */
    unsigned char header_size;
    fio_wire *wire;    /* the carrier's, between connected() and lost() when it is ours */
    PyObject *carrier; /* owned: what `wire` lives in, or NULL */
} FioTLS;

/* -- net/tls_bio.c: the library behind the seam
 * ---------------------------------------------------- */

/* Hands `size` bytes of ciphertext in. -1: exception set. */
FIO_MUST_CHECK int fio_tls_put(FioTLS *tls, const char *data, size_t size);

/* Bytes of ciphertext and of decrypted data that wait inside; -1: exception set. */
FIO_MUST_CHECK Py_ssize_t fio_tls_waiting(FioTLS *tls);

/* Up to `room` decrypted bytes as a new bytes object (empty: the peer's close_notify), or Py_None
 * when a whole record is still missing. */
FIO_MUST_CHECK PyObject *fio_tls_read(FioTLS *tls, Py_ssize_t room);

/* Up to `room` decrypted bytes to `place`: how many (0: close_notify), -2 when a whole record is
 * still missing, -1 exception set. */
FIO_MUST_CHECK Py_ssize_t fio_tls_read_into(FioTLS *tls, char *place, Py_ssize_t room);

/* Encrypts `size` bytes: how many were taken, -2 when the library wants to read first, -1. */
FIO_MUST_CHECK Py_ssize_t fio_tls_write(FioTLS *tls, const char *data, size_t size);

/* All ciphertext that waits to go out, as bytes. */
FIO_MUST_CHECK PyObject *fio_tls_take(FioTLS *tls);

/* Bytes of ciphertext that wait to go out; -1: exception set. */
FIO_MUST_CHECK Py_ssize_t fio_tls_unsent(FioTLS *tls);

/* -- net/tls.c: the pump
 * --------------------------------------------------------------------------- */

/* Ciphertext came from the carrier (asyncio: SSLProtocol.buffer_updated). -1: exception set. */
FIO_MUST_CHECK int fio_tls_on_data(FioTLS *tls, const char *data, size_t size);
/* asyncio: SSLProtocol._do_read, _do_write, _process_outgoing */
FIO_MUST_CHECK int fio_tls_do_read(FioTLS *tls);
FIO_MUST_CHECK int fio_tls_do_write(FioTLS *tls);
FIO_MUST_CHECK int fio_tls_process_outgoing(FioTLS *tls);
/* asyncio: SSLProtocol._write_appdata; errors of the connection are dealt with inside. */
FIO_MUST_CHECK int fio_tls_write_one(FioTLS *tls, PyObject *data);
/* Errors of the iterable, and of items that have no len(), are the caller's. */
FIO_MUST_CHECK int fio_tls_write_each(FioTLS *tls, PyObject *iterable);

/* -- net/py_tls.c
 * ---------------------------------------------------------------------------------- */

FIO_MUST_CHECK int fio_tls_setup_types(PyObject *module);

#endif
