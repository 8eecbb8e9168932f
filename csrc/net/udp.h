#ifndef FIO_NET_UDP_H
#define FIO_NET_UDP_H

/* The datagram transport (UDP, Unix datagram sockets): a transport whose stream carries whole
 * messages. udp.c moves them, py_udp.c is its face towards Python. */

#include "net/transport.h"

/* A message to be sent. */
typedef struct {
    PyObject *data;    /* owned bytes */
    PyObject *address; /* owned: the destination, left to socket.sendto(); or NULL */
    fio_addr to;       /* the destination where `address` is NULL; empty: the connected peer */
} fio_datagram;

/* Destinations and senders seen lately, as objects and as the kernel has them: an answer goes to
 * the address object that came in, and most messages come from few senders. */
#define FIO_DATAGRAM_PEERS 64

typedef struct {
    fio_addr addr;
    PyObject *object; /* owned or NULL */
} fio_datagram_peer;

typedef struct {
    FioTransport super;
    PyObject *address;   /* owned: the only destination allowed, or NULL */
    fio_datagram *queue; /* owned array, or NULL when nothing is queued */
    uint32_t head;
    uint32_t count;
    uint32_t capacity;
    int family;
    bool connected;
    fio_datagram_peer *peers; /* owned, FIO_DATAGRAM_PEERS of them, or NULL */
    size_t last_peer;         /* index of the one looked at last */
    PyObject *held; /* owned list of (data, address): taken from the kernel, not delivered; NULL */
} FioDatagram;

extern const fio_stream_kind fio_datagram_kind;

/* Queues `data` for `address` (NULL: the peer) and has it sent in this turn. -1: exception set. */
FIO_MUST_CHECK int fio_datagram_send(FioDatagram *self, PyObject *data, PyObject *address);

int fio_datagram_traverse(FioDatagram *self, visitproc visit, void *arg);
int fio_datagram_clear(FioDatagram *self);

FIO_MUST_CHECK int fio_datagram_setup_types(PyObject *module);

#endif
