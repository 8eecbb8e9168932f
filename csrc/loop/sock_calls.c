/* What each of the sock_ methods checks and asks of the kernel, in the words of socket.socket for
 * what is wrong. Names that have to be looked up, families other than IPv4, IPv6 and Unix, and odd
 * arguments are left to asyncio's own code. */

#include "base/addr.h"
#include "base/errors.h"
#include "loop/sock_call.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* -- what several of them need --------------------------------------------------------------------
 */

/* The errors of which Python makes a BlockingIOError or an InterruptedError. */
static bool
sock_errno_is_temporary(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EALREADY || err == EINPROGRESS
           || err == EINTR;
}

/* Is `count` of a system call the end of the attempt? 1, 0 (it would block) or -1. */
static int
sock_outcome(ssize_t count)
{
    if (count >= 0) {
        return 1;
    }
    if (sock_errno_is_temporary(errno)) {
        return 0;
    }
    fio_raise_errno(errno);
    return -1;
}

/* A number that socket.socket keeps of itself; -1 with an exception set. */
static long
sock_number(FioSockCall *self, PyObject *descriptor)
{
    PyObject *sock = self->args[0];
    PyObject *number =
        Py_TYPE(descriptor)->tp_descr_get(descriptor, sock, (PyObject *)Py_TYPE(sock));
    long value = number == NULL ? -1 : PyLong_AsLong(number);
    Py_XDECREF(number);
    return value;
}

/* 1 where the family's addresses are known here, as begin(). */
static int
sock_begin_family(FioSockCall *self)
{
    long family = sock_number(self, self->loop->st->socket_family);
    if (family == -1 && PyErr_Occurred()) {
        return -1;
    }
    self->family = (int)family;
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* 1 where accept(2) and connect(2), which are given no MSG_DONTWAIT, do not block, as begin(). */
static int
sock_begin_unblocked(FioSockCall *self)
{
    int blocks = fio_sock_call_blocks(self);
    if (blocks != 0) {
        return blocks < 0 ? -1 : 0;
    }
    int fd = fio_sock_call_fileno(self);
    if (fd < 0) {
        PyErr_Clear(); /* asyncio's code says so, or what else is wrong first */
        return 0;
    }
    /* Another socket object may have changed it: a dup(). */
    int flags = fcntl(fd, F_GETFL);
    return flags != -1 && (flags & O_NONBLOCK) != 0;
}

static int
sock_begin_size(FioSockCall *self, const char *method)
{
    PyObject *number = PyNumber_Index(self->args[1]);
    self->size = number == NULL ? -1 : PyLong_AsSsize_t(number);
    Py_XDECREF(number);
    if (self->size < 0 && !PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "negative buffersize in %s", method);
    }
    return self->size < 0 ? -1 : 1;
}

/* A buffer to receive into, as the argument format w* gets it. */
static int
sock_get_room(FioSockCall *self, Py_buffer *view, const char *method)
{
    if (PyObject_GetBuffer(self->args[1], view, PyBUF_WRITABLE) == 0) {
        return 0;
    }
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "%s() argument 1 must be read-write bytes-like object, not %.50s",
                 method, self->args[1] == Py_None ? "None" : Py_TYPE(self->args[1])->tp_name);
    return -1;
}

/* An address in the kernel's form, for the socket's family; false: no such one. */
static bool
sock_look_at_address(FioSockCall *self, PyObject *address, fio_any_addr *out)
{
    if (self->family == AF_UNIX) {
        return fio_addr_of_path(address, out);
    }
    fio_addr small;
    if (!fio_addr_of_numeric(self->family, address, &small)) {
        return false;
    }
    out->size = small.size;
    memcpy(&out->as, &small.as, small.size);
    return true;
}

/* The same for an address that begin() looked at: it is of types that do not change. */
static int
sock_address(FioSockCall *self, PyObject *address, fio_any_addr *out)
{
    if (!sock_look_at_address(self, address, out)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* -- receiving ------------------------------------------------------------------------------------
 */

/* recvfrom(2), or where `from` is NULL recv(2). */
static ssize_t
sock_receive(int fd, char *into, Py_ssize_t size, fio_any_addr *from)
{
    ssize_t count = 0;
    do {
        if (from == NULL) {
            count = recv(fd, into, (size_t)size, MSG_DONTWAIT);
        }
        else {
            from->size = sizeof(from->as);
            count = recvfrom(fd, into, (size_t)size, MSG_DONTWAIT, (struct sockaddr *)&from->as,
                             &from->size);
        }
    } while (count < 0 && errno == EINTR);
    return count;
}

/* At most self->size bytes as a bytes object, as attempt(). */
static int
sock_receive_bytes(FioSockCall *self, fio_any_addr *from, PyObject **result)
{
    const int fd = fio_sock_call_fileno(self);
    if (fd < 0) {
        return -1;
    }
    if (self->size <= FIO_LOOP_SLAB_SIZE) {
        char *slab = fio_loop_slab(self->loop);
        if (slab == NULL) {
            return -1;
        }
        ssize_t count = sock_receive(fd, slab, self->size, from);
        int outcome = sock_outcome(count);
        if (outcome == 1) {
            *result = PyBytes_FromStringAndSize(slab, count);
        }
        return outcome == 1 && *result == NULL ? -1 : outcome;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, self->size);
    if (bytes == NULL) {
        return -1;
    }
    ssize_t count = sock_receive(fd, PyBytes_AS_STRING(bytes), self->size, from);
    int outcome = sock_outcome(count);
    if (outcome != 1) {
        Py_DECREF(bytes);
        return outcome;
    }
    if (_PyBytes_Resize(&bytes, count) < 0) {
        return -1;
    }
    *result = bytes;
    return 1;
}

/* (*received, address of the sender): attempt()'s end for a recvfrom. */
static int
sock_add_sender(const fio_any_addr *from, PyObject **received)
{
    PyObject *address = fio_addr_to_python((const struct sockaddr *)&from->as, from->size);
    PyObject *pair = address == NULL ? NULL : PyTuple_Pack(2, *received, address);
    Py_XDECREF(address);
    Py_SETREF(*received, pair);
    return pair == NULL ? -1 : 1;
}

static int
sock_begin_recv(FioSockCall *self)
{
    return sock_begin_size(self, "recv");
}

static int
sock_attempt_recv(FioSockCall *self, PyObject **result)
{
    if (self->size == 0) {
        /* socket.socket.recv: nothing asked, nothing done. */
        *result = PyBytes_FromStringAndSize(NULL, 0);
        return *result == NULL ? -1 : 1;
    }
    return sock_receive_bytes(self, NULL, result);
}

static int
sock_begin_recvfrom(FioSockCall *self)
{
    int outcome = sock_begin_family(self);
    return outcome <= 0 ? outcome : sock_begin_size(self, "recvfrom");
}

static int
sock_attempt_recvfrom(FioSockCall *self, PyObject **result)
{
    fio_any_addr from;
    int outcome = sock_receive_bytes(self, &from, result);
    return outcome == 1 ? sock_add_sender(&from, result) : outcome;
}

/* Receives `size` bytes into a view, which is released; the count as an object. */
static int
sock_receive_into(FioSockCall *self, Py_buffer *view, Py_ssize_t size, fio_any_addr *from,
                  PyObject **result)
{
    ssize_t count = 0;
    int outcome = 1; /* socket.socket.recv_into: nothing asked, nothing done */
    if (size > 0 || from != NULL) {
        const int fd = fio_sock_call_fileno(self);
        if (fd >= 0) {
            count = sock_receive(fd, view->buf, size, from);
        }
        outcome = fd < 0 ? -1 : sock_outcome(count);
    }
    PyBuffer_Release(view);
    if (outcome == 1) {
        *result = PyLong_FromSsize_t(count);
    }
    return outcome == 1 && *result == NULL ? -1 : outcome;
}

static int
sock_begin_recv_into(FioSockCall *Py_UNUSED(self))
{
    return 1;
}

static int
sock_attempt_recv_into(FioSockCall *self, PyObject **result)
{
    Py_buffer view;
    if (sock_get_room(self, &view, "recv_into") < 0) {
        return -1;
    }
    return sock_receive_into(self, &view, view.len, NULL, result);
}

static int
sock_begin_recvfrom_into(FioSockCall *self)
{
    int outcome = sock_begin_family(self);
    int given = outcome <= 0 || self->args[2] == NULL ? 0 : PyObject_IsTrue(self->args[2]);
    if (outcome <= 0 || given < 0) {
        return given < 0 ? -1 : outcome;
    }
    if (given == 0) {
        /* asyncio: selector_events.sock_recvfrom_into; of wide items these are fewer bytes. */
        self->size = PyObject_Size(self->args[1]);
        return self->size < 0 ? -1 : 1;
    }
    PyObject *number = PyNumber_Index(self->args[2]);
    self->size = number == NULL ? -1 : PyLong_AsSsize_t(number);
    Py_XDECREF(number);
    return self->size == -1 && PyErr_Occurred() ? -1 : 1;
}

static int
sock_attempt_recvfrom_into(FioSockCall *self, PyObject **result)
{
    Py_buffer view;
    if (sock_get_room(self, &view, "recvfrom_into") < 0) {
        return -1;
    }
    Py_ssize_t size = self->size == 0 ? view.len : self->size;
    if (size < 0 || size > view.len) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, size < 0
                                              ? "negative buffersize in recvfrom_into"
                                              : "nbytes is greater than the length of the buffer");
        return -1;
    }
    fio_any_addr from;
    int outcome = sock_receive_into(self, &view, size, &from, result);
    return outcome == 1 ? sock_add_sender(&from, result) : outcome;
}

/* -- sending --------------------------------------------------------------------------------------
 */

static int
sock_begin_sendall(FioSockCall *self)
{
    if (PyObject_GetBuffer(self->args[1], &self->view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    self->has_view = true;
    return 1;
}

static int
sock_attempt_sendall(FioSockCall *self, PyObject **result)
{
    const int fd = fio_sock_call_fileno(self);
    if (fd < 0) {
        return -1;
    }
    const char *data = self->view.buf;
    do {
        ssize_t count = send(fd, data + self->moved, (size_t)(self->view.len - self->moved),
                             MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        int outcome = sock_outcome(count);
        if (outcome != 1) {
            return outcome;
        }
        self->moved += count;
    } while (self->moved < self->view.len);
    *result = Py_NewRef(Py_None);
    return 1;
}

static int
sock_begin_sendto(FioSockCall *self)
{
    fio_any_addr to;
    int outcome = sock_begin_family(self);
    return outcome <= 0 ? outcome : sock_look_at_address(self, self->args[2], &to);
}

static int
sock_attempt_sendto(FioSockCall *self, PyObject **result)
{
    fio_any_addr to;
    Py_buffer view;
    if (PyObject_GetBuffer(self->args[1], &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    int outcome = -1;
    ssize_t count = -1;
    /* An audit hook may close the socket, so the descriptor comes after it. */
    int fd = PySys_Audit("socket.sendto", "OO", self->args[0], self->args[2]) < 0
                 ? -1
                 : fio_sock_call_fileno(self);
    if (fd >= 0 && sock_address(self, self->args[2], &to) == 0) {
        do {
            count = sendto(fd, view.buf, (size_t)view.len, MSG_DONTWAIT | MSG_NOSIGNAL,
                           (const struct sockaddr *)&to.as, to.size);
        } while (count < 0 && errno == EINTR);
        outcome = sock_outcome(count);
    }
    PyBuffer_Release(&view);
    if (outcome == 1) {
        *result = PyLong_FromSsize_t(count);
    }
    return outcome == 1 && *result == NULL ? -1 : outcome;
}

/* -- accepting ------------------------------------------------------------------------------------
 */

static int
sock_begin_accept(FioSockCall *self)
{
    int outcome = sock_begin_unblocked(self);
    return outcome <= 0 ? outcome : sock_begin_family(self);
}

/* socket.socket(family, type, proto, fd) as socket.accept() makes it, but non-blocking; closes the
 * descriptor where that fails. */
static PyObject *
sock_accepted(FioSockCall *self, int fd)
{
    fio_state *st = self->loop->st;
    const long kind = sock_number(self, st->socket_kind);
    const long proto = PyErr_Occurred() ? -1 : sock_number(self, st->socket_proto);
    PyObject *sock = NULL;
    if (!PyErr_Occurred()) {
        /* The flag says that the descriptor does not block already. */
        sock = PyObject_CallFunction(st->socket_socket, "illi", self->family, kind | SOCK_NONBLOCK,
                                     proto, fd);
    }
    if (sock == NULL) {
        (void)close(fd); /* never used */
    }
    return sock;
}

static int
sock_attempt_accept(FioSockCall *self, PyObject **result)
{
    const int listener = fio_sock_call_fileno(self);
    if (listener < 0) {
        return -1;
    }
    fio_any_addr peer = {.size = sizeof(peer.as)};
    int fd = accept4(listener, (struct sockaddr *)&peer.as, &peer.size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    int outcome = sock_outcome(fd);
    if (outcome != 1) {
        return outcome;
    }
    *result = sock_accepted(self, fd);
    return *result == NULL ? -1 : sock_add_sender(&peer, result);
}

/* -- connecting -----------------------------------------------------------------------------------
 */

/* asyncio: base_events._ipaddr_info: is the address one that needs no look-up? As begin(). */
static int
sock_begin_connect_numeric(FioSockCall *self, PyObject *address)
{
    fio_state *st = self->loop->st;
    const long kind = sock_number(self, st->socket_kind);
    const long proto = PyErr_Occurred() ? -1 : sock_number(self, st->socket_proto);
    if (PyErr_Occurred()) {
        return -1;
    }
    fio_addr to;
    if ((kind != SOCK_STREAM && kind != SOCK_DGRAM)
        || (proto != 0 && proto != IPPROTO_TCP && proto != IPPROTO_UDP)
        || !fio_addr_of_numeric(self->family, address, &to)) {
        return 0;
    }
    if (self->family == AF_INET6 && PyTuple_GET_SIZE(address) < 4) {
        /* As it stands in messages and audit events. */
        Py_SETREF(self->args[1],
                  Py_BuildValue("OOII", PyTuple_GET_ITEM(address, 0), PyTuple_GET_ITEM(address, 1),
                                (unsigned int)ntohl(to.as.in6.sin6_flowinfo), 0U));
        return self->args[1] == NULL ? -1 : 1;
    }
    return 1;
}

static int
sock_begin_connect(FioSockCall *self)
{
    int outcome = sock_begin_unblocked(self);
    if (outcome > 0) {
        outcome = sock_begin_family(self);
    }
    if (outcome <= 0) {
        return outcome;
    }
    if (self->family != AF_UNIX) {
        return sock_begin_connect_numeric(self, self->args[1]);
    }
    fio_any_addr to;
    return fio_addr_of_path(self->args[1], &to);
}

/* The outcome of a connect(2) that took time. */
static int
sock_attempt_connected(FioSockCall *self, int fd, PyObject **result)
{
    int err = 0;
    socklen_t size = sizeof(err);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0) {
        fio_raise_errno(errno);
        return -1;
    }
    if (err == 0) {
        *result = Py_NewRef(Py_None);
        return 1;
    }
    if (sock_errno_is_temporary(err)) {
        return 0;
    }
    /* asyncio: selector_events._sock_connect_cb */
    PyObject *text = PyUnicode_FromFormat("Connect call failed %S", self->args[1]);
    PyObject *exc = text == NULL ? NULL : PyObject_CallFunction(PyExc_OSError, "iO", err, text);
    if (exc != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    Py_XDECREF(text);
    Py_XDECREF(exc);
    return -1;
}

static int
sock_attempt_connect(FioSockCall *self, PyObject **result)
{
    if (!self->connecting
        && PySys_Audit("socket.connect", "OO", self->args[0], self->args[1]) < 0) {
        return -1;
    }
    const int fd = fio_sock_call_fileno(self);
    if (fd < 0) {
        return -1;
    }
    if (self->connecting) {
        return sock_attempt_connected(self, fd, result);
    }
    fio_any_addr to;
    if (sock_address(self, self->args[1], &to) < 0) {
        return -1;
    }
    int outcome = sock_outcome(connect(fd, (const struct sockaddr *)&to.as, to.size));
    self->connecting = true;
    if (outcome == 1) {
        *result = Py_NewRef(Py_None);
    }
    return outcome;
}

/* -- the operations -------------------------------------------------------------------------------
 */

static const char *const sock_recv_names[] = {"sock", "n", NULL};
static const char *const sock_recv_into_names[] = {"sock", "buf", NULL};
static const char *const sock_recvfrom_into_names[] = {"sock", "buf", "nbytes", NULL};
static const char *const sock_recvfrom_names[] = {"sock", "bufsize", NULL};
static const char *const sock_sendall_names[] = {"sock", "data", NULL};
static const char *const sock_sendto_names[] = {"sock", "data", "address", NULL};
static const char *const sock_accept_names[] = {"sock", NULL};
static const char *const sock_connect_names[] = {"sock", "address", NULL};

const fio_sock_operation fio_sock_recv_operation = {
    .params = {"sock_recv", sock_recv_names, 2, 2},
    .events = UV_READABLE,
    .begin = sock_begin_recv,
    .attempt = sock_attempt_recv,
};
const fio_sock_operation fio_sock_recv_into_operation = {
    .params = {"sock_recv_into", sock_recv_into_names, 2, 2},
    .events = UV_READABLE,
    .begin = sock_begin_recv_into,
    .attempt = sock_attempt_recv_into,
};
const fio_sock_operation fio_sock_recvfrom_operation = {
    .params = {"sock_recvfrom", sock_recvfrom_names, 2, 2},
    .events = UV_READABLE,
    .begin = sock_begin_recvfrom,
    .attempt = sock_attempt_recvfrom,
};
const fio_sock_operation fio_sock_recvfrom_into_operation = {
    .params = {"sock_recvfrom_into", sock_recvfrom_into_names, 3, 2},
    .events = UV_READABLE,
    .begin = sock_begin_recvfrom_into,
    .attempt = sock_attempt_recvfrom_into,
};
const fio_sock_operation fio_sock_sendall_operation = {
    .params = {"sock_sendall", sock_sendall_names, 2, 2},
    .events = UV_WRITABLE,
    .begin = sock_begin_sendall,
    .attempt = sock_attempt_sendall,
};
const fio_sock_operation fio_sock_sendto_operation = {
    .params = {"sock_sendto", sock_sendto_names, 3, 3},
    .events = UV_WRITABLE,
    .begin = sock_begin_sendto,
    .attempt = sock_attempt_sendto,
};
const fio_sock_operation fio_sock_accept_operation = {
    .params = {"sock_accept", sock_accept_names, 1, 1},
    .events = UV_READABLE,
    .begin = sock_begin_accept,
    .attempt = sock_attempt_accept,
};
const fio_sock_operation fio_sock_connect_operation = {
    .params = {"sock_connect", sock_connect_names, 2, 2},
    .events = UV_WRITABLE,
    .begin = sock_begin_connect,
    .attempt = sock_attempt_connect,
};
