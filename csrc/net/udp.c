/* Datagrams in and out: several a system call in both directions, addresses converted once for
 * peers that are heard of again, and asyncio's treatment of errors
 * (selector_events._SelectorDatagramTransport). */

#include "net/udp.h"

#include "base/errors.h"
#include "net/bridge.h"

#include <errno.h>

/* Room for one message: the largest UDP can carry. */
#define DATAGRAM_SIZE ((size_t)64 * 1024)

/* Messages of one recvmmsg(2): as many as the loop's slab has room for. */
#define DATAGRAM_READ_BATCH (FIO_LOOP_SLAB_SIZE / DATAGRAM_SIZE)

/* Such calls a turn, so that a flood leaves the other descriptors their turn. */
#define DATAGRAM_READS_A_TURN 16

/* Messages of one sendmmsg(2); their headers live on the C stack. */
#define DATAGRAM_WRITE_BATCH 16

static FioDatagram *
datagram_of_stream(fio_stream *stream)
{
    return (FioDatagram *)fio_transport_of_stream(stream);
}

/* -- addresses ------------------------------------------------------------------------------------
 */

/* The bytes of an address that tell one peer from another. */
static bool
addr_equal(const fio_addr *a, const fio_addr *b)
{
    return a->size == b->size && memcmp(&a->as, &b->as, a->size) == 0;
}

static fio_datagram_peer *
datagram_slot(FioDatagram *self, const fio_addr *addr)
{
    if (self->peers == NULL) {
        self->peers = PyMem_Calloc(FIO_DATAGRAM_PEERS, sizeof(fio_datagram_peer));
        if (self->peers == NULL) {
            return NULL; /* only slower */
        }
    }
    size_t hash = addr->as.in.sin_port;
    const unsigned char *bytes = (const unsigned char *)&addr->as;
    for (socklen_t i = 0; i < addr->size; i++) {
        hash = hash * 31 + bytes[i];
    }
    self->last_peer = (hash ^ hash >> 8) % FIO_DATAGRAM_PEERS;
    return &self->peers[self->last_peer];
}

static void
datagram_remember(FioDatagram *self, const fio_addr *addr, PyObject *object)
{
    fio_datagram_peer *slot = datagram_slot(self, addr);
    if (slot != NULL) {
        slot->addr = *addr;
        Py_XSETREF(slot->object, Py_NewRef(object));
    }
}

/* The address object of a sender. */
static PyObject *
datagram_sender(FioDatagram *self, const struct sockaddr *from, socklen_t size)
{
    fio_addr addr = {.size = size};
    if (size == 0 || size > sizeof(addr.as) || from->sa_family == AF_UNIX) {
        return fio_addr_to_python(from, size);
    }
    memcpy(&addr.as, from, size);
    fio_datagram_peer *slot = datagram_slot(self, &addr);
    if (slot != NULL && slot->object != NULL && addr_equal(&slot->addr, &addr)) {
        return Py_NewRef(slot->object);
    }
    PyObject *object = fio_addr_to_python(from, size);
    if (object != NULL) {
        datagram_remember(self, &addr, object);
    }
    return object;
}

static int
datagram_resolve(FioDatagram *self, PyObject *address, fio_addr *out)
{
    for (size_t i = 0; self->peers != NULL && i < FIO_DATAGRAM_PEERS; i++) {
        /* Mostly it is an answer to what came last. */
        const fio_datagram_peer *peer = &self->peers[(self->last_peer + i) % FIO_DATAGRAM_PEERS];
        if (peer->object == address) {
            *out = peer->addr;
            return 1;
        }
    }
    if (!fio_addr_of_numeric(self->family, address, out)) {
        return 0;
    }
    if (self->family == AF_INET) {
        /* Of IPv6 there are several spellings, and datagram_received() is given one of them. */
        datagram_remember(self, out, address);
    }
    return 1;
}

/* -- the queue ------------------------------------------------------------------------------------
 */

static int
queue_reserve(FioDatagram *self)
{
    if (self->head + self->count < self->capacity) {
        return 0;
    }
    if (self->head > 0) {
        memmove(self->queue, self->queue + self->head, self->count * sizeof(fio_datagram));
        self->head = 0;
        if (self->count <= self->capacity / 2) {
            return 0;
        }
    }
    uint32_t capacity = self->capacity == 0 ? DATAGRAM_WRITE_BATCH : self->capacity * 2;
    fio_datagram *queue = self->queue;
    if (capacity <= self->capacity || PyMem_Resize(queue, fio_datagram, capacity) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->queue = queue;
    self->capacity = capacity;
    return 0;
}

static size_t
datagram_weight(const fio_datagram *datagram)
{
    return (size_t)PyBytes_GET_SIZE(datagram->data) + FIO_DATAGRAM_HEADER_SIZE;
}

static void
queue_pop(FioDatagram *self)
{
    fio_datagram datagram = self->queue[self->head];
    self->super.stream.queued -= datagram_weight(&datagram);
    self->head++;
    self->count--;
    if (self->count == 0) {
        self->head = 0;
    }
    Py_DECREF(datagram.data);
    Py_XDECREF(datagram.address);
}

static void
datagram_drop_output(fio_stream *stream)
{
    FioDatagram *self = datagram_of_stream(stream);
    while (self->count > 0) {
        queue_pop(self);
    }
    PyMem_Free(self->queue);
    self->queue = NULL;
    self->capacity = 0;
    self->head = 0;
}

int
fio_datagram_send(FioDatagram *self, PyObject *data, PyObject *address)
{
    fio_datagram datagram = {.address = NULL};
    bool to_peer = self->connected || address == NULL;
    if (!to_peer && !datagram_resolve(self, address, &datagram.to)) {
        datagram.address = address;
    }
    else if (!self->connected && address == NULL) {
        datagram.address = Py_None; /* the socket says what is wrong with it */
    }
    datagram.data = PyBytes_FromObject(data); /* may run code that sends, too */
    if (datagram.data == NULL) {
        return -1;
    }
    if (queue_reserve(self) < 0) {
        Py_DECREF(datagram.data);
        return -1;
    }
    Py_XINCREF(datagram.address);
    self->queue[self->head + self->count] = datagram;
    self->count++;
    fio_stream *stream = &self->super.stream;
    stream->queued += datagram_weight(&datagram);
    bool before = stream->unattended;
    stream->unattended = false; /* this is the program's call, if out of one of ours */
    int result = fio_transport_commit(&self->super);
    stream->unattended = before;
    return result;
}

/* -- sending --------------------------------------------------------------------------------------
 */

static PyObject *
datagram_call_error_received(FioTransport *transport, PyObject *exc)
{
    PyObject *name = transport->st->str_error_received;
    if (transport->stream.unattended || transport->protocol == NULL) {
        return fio_bridge_call(transport, name, &exc, 1);
    }
    /* Out of sendto(): in the context that calls us, as on asyncio. */
    PyObject *protocol = Py_NewRef(transport->protocol);
    PyObject *none = PyObject_CallMethodOneArg(protocol, name, exc);
    Py_DECREF(protocol);
    return none;
}

/* protocol.error_received(the raised exception) */
static void
datagram_report_error(FioDatagram *self)
{
    FioTransport *transport = &self->super;
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *none = datagram_call_error_received(transport, exc);
    Py_DECREF(exc);
    if (none == NULL) {
        fio_transport_report(transport, "Exception in callback DatagramTransport.error_received()");
    }
    Py_XDECREF(none);
}

/* The raised exception of a failed send: an OSError is the protocol's, all else is fatal. */
static void
datagram_send_failed(FioDatagram *self)
{
    if (PyErr_ExceptionMatches(PyExc_OSError)) {
        datagram_report_error(self);
        return;
    }
    fio_transport_fatal(&self->super, "Fatal write error on datagram transport");
}

/* Sends the first message by socket.sendto(): names, odd addresses, whatever Python allows. */
static int
datagram_send_by_socket(FioDatagram *self)
{
    PyObject *sock = fio_transport_socket(&self->super);
    fio_datagram *first = &self->queue[self->head];
    PyObject *data = Py_NewRef(first->data);
    PyObject *address = Py_NewRef(first->address);
    PyObject *sent = NULL;
    if (sock != NULL) {
        sent = PyObject_CallMethodObjArgs(sock, self->super.st->str_sendto, data, address, NULL);
        Py_DECREF(sock);
    }
    Py_DECREF(data);
    Py_DECREF(address);
    if (sent == NULL && PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
        return 0;
    }
    if (self->count > 0) {
        queue_pop(self);
    }
    if (sent == NULL) {
        datagram_send_failed(self);
        return 1;
    }
    Py_DECREF(sent);
    return 1;
}

static void
datagram_fill_header(fio_datagram *datagram, struct iovec *piece, struct msghdr *header)
{
    piece->iov_base = PyBytes_AS_STRING(datagram->data);
    piece->iov_len = (size_t)PyBytes_GET_SIZE(datagram->data);
    *header = (struct msghdr){.msg_iov = piece, .msg_iovlen = 1};
    if (datagram->to.size > 0) {
        header->msg_name = &datagram->to.as;
        header->msg_namelen = datagram->to.size;
    }
}

/* Hands over as many of the first messages as one call takes: how many went, or -1 with errno. */
static int
datagram_send_batch(FioDatagram *self)
{
    struct iovec pieces[DATAGRAM_WRITE_BATCH];
    struct mmsghdr headers[DATAGRAM_WRITE_BATCH];
    unsigned int count = 0;
    while (count < self->count && count < DATAGRAM_WRITE_BATCH
           && self->queue[self->head + count].address == NULL) {
        datagram_fill_header(&self->queue[self->head + count], &pieces[count],
                             &headers[count].msg_hdr);
        count++;
    }
    int fd = fio_stream_descriptor(&self->super.stream);
    if (count == 1) {
        return sendmsg(fd, &headers[0].msg_hdr, MSG_NOSIGNAL) < 0 ? -1 : 1;
    }
    return sendmmsg(fd, headers, count, MSG_NOSIGNAL);
}

/* fio_stream_kind.send_step */
static int
datagram_send_step(fio_stream *stream)
{
    FioDatagram *self = datagram_of_stream(stream);
    if (self->queue[self->head].address != NULL) {
        return datagram_send_by_socket(self);
    }
    int sent = datagram_send_batch(self);
    if (sent < 0) {
        int err = errno;
        if (err == EAGAIN || err == EWOULDBLOCK || err == EINTR) {
            errno = err;
            return -1;
        }
        queue_pop(self);
        fio_raise_errno(err);
        datagram_report_error(self);
        return 1;
    }
    while (sent-- > 0 && self->count > 0) {
        queue_pop(self);
    }
    return 1;
}

static void
datagram_drained(fio_stream *stream)
{
    if (datagram_of_stream(stream)->capacity > DATAGRAM_WRITE_BATCH) {
        datagram_drop_output(stream);
    }
}

/* -- receiving ------------------------------------------------------------------------------------
 */

/* Steals both; NULL: an exception is set. */
static void
datagram_call(FioDatagram *self, FIO_STEALS PyObject *data, FIO_STEALS PyObject *address)
{
    FioTransport *transport = &self->super;
    PyObject *args[] = {data, address};
    PyObject *none = NULL;
    if (data != NULL && address != NULL) {
        none = fio_bridge_call(transport, transport->st->str_datagram_received, args, 2);
    }
    if (none == NULL) {
        fio_transport_report(transport,
                             "Exception in callback DatagramTransport.datagram_received()");
    }
    Py_XDECREF(none);
    Py_XDECREF(data);
    Py_XDECREF(address);
}

/* Reading was paused, or the run ends, with more taken from the kernel than was delivered. */
static void
datagram_hold(FioDatagram *self, FIO_STEALS PyObject *data, FIO_STEALS PyObject *address)
{
    PyObject *pair = data == NULL || address == NULL ? NULL : PyTuple_Pack(2, data, address);
    if (pair != NULL && self->held == NULL) {
        self->held = PyList_New(0);
    }
    if (pair == NULL || self->held == NULL || PyList_Append(self->held, pair) < 0) {
        fio_transport_report(&self->super, "No memory for a datagram");
    }
    Py_XDECREF(pair);
    Py_XDECREF(data);
    Py_XDECREF(address);
}

static bool
datagram_is_delivering(const FioDatagram *self)
{
    return fio_stream_is_reading(&self->super.stream) && self->super.stream.loop->fatal == NULL;
}

static bool
datagram_holds_some(const FioDatagram *self)
{
    return self->held != NULL && PyList_GET_SIZE(self->held) > 0;
}

static void
datagram_deliver(FioDatagram *self, const char *data, size_t size, const struct msghdr *header)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    PyObject *address = NULL;
    if (bytes != NULL) {
        address = datagram_sender(self, header->msg_name, header->msg_namelen);
    }
    if (FIO_LIKELY(datagram_is_delivering(self))) {
        datagram_call(self, bytes, address);
    }
    else {
        datagram_hold(self, bytes, address);
    }
}

/* fio_stream_kind.resumed: what is held comes in a turn of its own, as from the poll. */
static void
datagram_resumed(fio_stream *stream)
{
    if (datagram_holds_some(datagram_of_stream(stream))) {
        fio_watch_repeat(&stream->watch, UV_READABLE);
    }
}

/* Delivers what is held; false: not all of it, or nothing more is wanted. */
static bool
datagram_deliver_held(FioDatagram *self)
{
    while (datagram_holds_some(self) && datagram_is_delivering(self)) {
        PyObject *pair = Py_NewRef(PyList_GET_ITEM(self->held, 0));
        if (PyList_SetSlice(self->held, 0, 1, NULL) < 0) {
            fio_transport_report(&self->super, "No memory for a datagram");
        }
        datagram_call(self, Py_NewRef(PyTuple_GET_ITEM(pair, 0)),
                      Py_NewRef(PyTuple_GET_ITEM(pair, 1)));
        Py_DECREF(pair);
    }
    return !datagram_holds_some(self) && datagram_is_delivering(self);
}

/* One recvmmsg(2); true when there may be more. */
static bool
datagram_receive_batch(FioDatagram *self, char *slab)
{
    /* Unix datagrams can be larger than UDP's: those come one by one, in all of the slab. So do all
     * where a callback may run the loop: what waits behind it in a batch would be lost to that run.
     */
    bool single = self->family == AF_UNIX || self->super.stream.loop->allows_nested;
    unsigned int batch = single ? 1 : (unsigned int)DATAGRAM_READ_BATCH;
    size_t room = FIO_LOOP_SLAB_SIZE / batch;
    struct iovec pieces[DATAGRAM_READ_BATCH];
    struct mmsghdr headers[DATAGRAM_READ_BATCH];
    struct sockaddr_storage from[DATAGRAM_READ_BATCH];
    for (unsigned int i = 0; i < batch; i++) {
        pieces[i] = (struct iovec){.iov_base = slab + i * room, .iov_len = room};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                             .msg_namelen = sizeof(from[i]),
                                             .msg_iov = &pieces[i],
                                             .msg_iovlen = 1};
    }
    fio_stream *stream = &self->super.stream;
    int count = recvmmsg(fio_stream_descriptor(stream), headers, batch, MSG_DONTWAIT, NULL);
    if (count < 0) {
        int err = errno;
        if (err != EAGAIN && err != EWOULDBLOCK && err != EINTR) {
            fio_raise_errno(err);
            datagram_report_error(self);
        }
        return false;
    }
    (void)fio_loop_keep_slab(stream->loop);
    for (int i = 0; i < count && !stream->wire.closing; i++) {
        datagram_deliver(self, pieces[i].iov_base, headers[i].msg_len, &headers[i].msg_hdr);
    }
    fio_loop_return_slab(stream->loop, slab);
    return (unsigned int)count == batch;
}

/* fio_stream_kind.read */
static void
datagram_read(fio_stream *stream)
{
    FioDatagram *self = datagram_of_stream(stream);
    bool more = datagram_deliver_held(self);
    for (int reads = 0; reads < DATAGRAM_READS_A_TURN && more; reads++) {
        char *slab = fio_loop_slab(stream->loop);
        if (slab == NULL) {
            fio_transport_fatal(&self->super, "Fatal read error on datagram transport");
            return;
        }
        more = datagram_receive_batch(self, slab) && datagram_is_delivering(self);
    }
    if (fio_stream_is_reading(stream)) {
        datagram_resumed(stream); /* in the next run */
    }
}

/* -- the kind -------------------------------------------------------------------------------------
 */

const fio_stream_kind fio_datagram_kind = {
    .owner = fio_transport_owner,
    .failed = fio_transport_failed,
    .has_descriptor = fio_transport_has_descriptor,
    .finish = fio_transport_finish,
    .finish_now = fio_transport_finish_now,
    .drained = datagram_drained,
    .read = datagram_read,
    .send_step = datagram_send_step,
    .drop_output = datagram_drop_output,
    .resumed = datagram_resumed,
    .read_error = "Fatal read error on datagram transport",
    .write_error = "Fatal write error on datagram transport",
    .is_socket = true,
};

int
fio_datagram_traverse(FioDatagram *self, visitproc visit, void *arg)
{
    for (uint32_t i = 0; i < self->count; i++) {
        Py_VISIT(self->queue[self->head + i].data);
        Py_VISIT(self->queue[self->head + i].address);
    }
    for (size_t i = 0; self->peers != NULL && i < FIO_DATAGRAM_PEERS; i++) {
        Py_VISIT(self->peers[i].object);
    }
    Py_VISIT(self->address);
    Py_VISIT(self->held);
    return fio_transport_traverse(&self->super, visit, arg);
}

int
fio_datagram_clear(FioDatagram *self)
{
    FIO_HOLD(self->super.stream.loop);
    for (size_t i = 0; self->peers != NULL && i < FIO_DATAGRAM_PEERS; i++) {
        Py_CLEAR(self->peers[i].object);
    }
    PyMem_Free(self->peers);
    self->peers = NULL;
    Py_CLEAR(self->address);
    Py_CLEAR(self->held);
    return fio_transport_clear(&self->super);
}
