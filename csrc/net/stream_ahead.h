#ifndef FIO_NET_STREAM_AHEAD_H
#define FIO_NET_STREAM_AHEAD_H

/* Reading before the turn. What the poll found readable is read at once, stream after stream, and
 * handed over later, each in its turn: the kernel's code and that of handlers, which push each
 * other out of the processor's caches, then take turns once a poll and not once a message. Only for
 * links that say so (fio_link_ops.reads_ahead): others can tell when a read is made. */

#include "net/stream.h"

/* Reads what the poll has found in `stream`, to be handed over in its turn. False: nothing was
 * read, there is no room or the link does not want it. */
bool fio_stream_read_ahead(fio_stream *stream);

/* Forgets what was read; for a stream that ends. */
void fio_stream_drop_ahead(fio_stream *stream);

/* Hands over now what was read; for a descriptor that somebody else goes on with. */
void fio_stream_deliver_ahead(fio_stream *stream);

#endif
