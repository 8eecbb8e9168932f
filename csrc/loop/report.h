#ifndef FIO_LOOP_REPORT_H
#define FIO_LOOP_REPORT_H

/* What of loop/report.c only this room uses: failing and slow callbacks. */

#include "loop/callback.h"

/* The stack of the running Python code, as asyncio keeps it in debug mode. */
FIO_MUST_CHECK PyObject *fio_report_stack(FioLoop *loop);

/* Reports the raised exception as that of `handle`'s callback; no exception is set afterwards. */
void fio_report_handle(FioHandle *handle);

/* Keeps the raised exception, whatever it is, as the one run_forever() raises. */
void fio_report_fatal(FioLoop *loop);

/* Debug mode: call around the run of a handle; a slow one is logged. */
typedef struct {
    int64_t begin; /* nanoseconds */
} fio_report_timing;

fio_report_timing fio_report_begin(FioHandle *handle);
void fio_report_end(FioHandle *handle, const fio_report_timing *timing);
/* Has `what`, a Handle or a transport, or None for connections being accepted, logged if it has
 * taken long since `begin`. */
void fio_report_slow(FioLoop *loop, PyObject *what, int64_t begin);

#endif
