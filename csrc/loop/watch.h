#ifndef FIO_LOOP_WATCH_H
#define FIO_LOOP_WATCH_H

/* Watches from inside the room. */

#include "loop/loop.h"

/* Ends all watches that are still open: the loop closes. */
void fio_watches_close(FioLoop *loop);

#endif
