#ifndef FIO_SERVER_ACCESS_H
#define FIO_SERVER_ACCESS_H

/* Counters of a server, and the call of its access log. */

#include "base/state.h"

struct FioRequest;

typedef struct {
    PyObject *log; /* owned or NULL: log(request, response or status, seconds) */
    bool enabled;  /* log is there and its `enabled` attribute, if it has one, was true */
    uint64_t connections;
    uint64_t requests;
    uint64_t refused;     /* malformed or over a limit: no handler was called */
    uint64_t by_class[6]; /* answers by the hundreds of their status; [0]: none was sent */
} fio_access;

/* Asks the log once again whether it is enabled; called once a second at most. Never raises. */
void fio_access_renew(fio_access *access);

/* An answer is complete. `began` is when its request's head was read (nanoseconds, 0: unknown);
 * response may be NULL: then the log gets the status instead. -1: the log raised. */
FIO_MUST_CHECK int fio_access_count(fio_access *access, struct FioRequest *request,
                                    PyObject *response, int status, int64_t began);

/* The counters as a dict. */
FIO_MUST_CHECK PyObject *fio_access_counters(const fio_access *access);

#endif
