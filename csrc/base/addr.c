/* Socket addresses between the kernel and Python, in the shapes of the socket module. What takes a
 * look-up or may be wrong is left to that module. */

#include "base/addr.h"

#include "base/num.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <sys/un.h>

static PyObject *
addr_of_ipv4(const struct sockaddr_in *addr)
{
    /* A datagram each may come from another peer: not by way of printf(). */
    const unsigned char *bytes = (const unsigned char *)&addr->sin_addr;
    char host[INET_ADDRSTRLEN + FIO_DECIMAL_SIZE];
    size_t size = 0;
    for (int i = 0; i < 4; i++) {
        size += fio_decimal_write(host + size, bytes[i]);
        host[size++] = '.';
    }
    PyObject *name = fio_text_new((fio_view){host, size - 1}, NULL);
    PyObject *port = name == NULL ? NULL : PyLong_FromLong(ntohs(addr->sin_port));
    PyObject *pair = port == NULL ? NULL : PyTuple_Pack(2, name, port);
    Py_XDECREF(name);
    Py_XDECREF(port);
    return pair;
}

static PyObject *
addr_of_ipv6(const struct sockaddr_in6 *addr)
{
    char host[INET6_ADDRSTRLEN];
    if (inet_ntop(AF_INET6, &addr->sin6_addr, host, sizeof(host)) == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("siII", host, (int)ntohs(addr->sin6_port),
                         (unsigned int)ntohl(addr->sin6_flowinfo),
                         (unsigned int)addr->sin6_scope_id);
}

static PyObject *
addr_of_unix(const struct sockaddr_un *addr, socklen_t size)
{
    const size_t path_at = offsetof(struct sockaddr_un, sun_path);
    size_t length = size > path_at ? size - path_at : 0;
    if (length > 0 && addr->sun_path[0] == '\0') {
        /* Linux's abstract namespace: not a path, and NUL bytes count. */
        return PyBytes_FromStringAndSize(addr->sun_path, (Py_ssize_t)length);
    }
    return PyUnicode_DecodeFSDefaultAndSize(addr->sun_path,
                                            (Py_ssize_t)strnlen(addr->sun_path, length));
}

PyObject *
fio_addr_to_python(const struct sockaddr *addr, socklen_t size)
{
    if (size == 0) {
        Py_RETURN_NONE;
    }
    switch (addr->sa_family) {
    case AF_INET:
        return addr_of_ipv4((const struct sockaddr_in *)addr);
    case AF_INET6:
        return addr_of_ipv6((const struct sockaddr_in6 *)addr);
    case AF_UNIX:
        return addr_of_unix((const struct sockaddr_un *)addr, size);
    default:
        /* What the socket module gives for a family it does not know. */
        return Py_BuildValue("iy#", (int)addr->sa_family, addr->sa_data,
                             (Py_ssize_t)(size - offsetof(struct sockaddr, sa_data)));
    }
}

/* An exact int of at most `limit`. */
static bool
addr_number(PyObject *value, unsigned long limit, uint32_t *out)
{
    if (!PyLong_CheckExact(value)) {
        return false;
    }
    unsigned long number = PyLong_AsUnsignedLong(value);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    *out = (uint32_t)number;
    return number <= limit;
}

bool
fio_addr_of_host(int family, const char *host, uint16_t port, fio_addr *out)
{
    memset(&out->as, 0, sizeof(out->as));
    if (family == AF_INET && inet_pton(AF_INET, host, &out->as.in.sin_addr) == 1) {
        out->as.in.sin_family = AF_INET;
        out->as.in.sin_port = htons(port);
        out->size = sizeof(out->as.in);
        return true;
    }
    if (family == AF_INET6 && inet_pton(AF_INET6, host, &out->as.in6.sin6_addr) == 1) {
        out->as.in6.sin6_family = AF_INET6;
        out->as.in6.sin6_port = htons(port);
        out->size = sizeof(out->as.in6);
        return true;
    }
    return false;
}

bool
fio_addr_of_numeric(int family, PyObject *address, fio_addr *out)
{
    Py_ssize_t size = PyTuple_CheckExact(address) ? PyTuple_GET_SIZE(address) : 0;
    if (size < 2 || size > (family == AF_INET6 ? 4 : 2)
        || !PyUnicode_CheckExact(PyTuple_GET_ITEM(address, 0))) {
        return false;
    }
    uint32_t port = 0;
    uint32_t flow = 0;
    uint32_t scope = 0;
    if (!addr_number(PyTuple_GET_ITEM(address, 1), UINT16_MAX, &port)
        || (size > 2 && !addr_number(PyTuple_GET_ITEM(address, 2), 0xfffff, &flow))
        || (size > 3 && !addr_number(PyTuple_GET_ITEM(address, 3), UINT32_MAX, &scope))) {
        return false;
    }
    Py_ssize_t length = 0;
    const char *host = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(address, 0), &length);
    if (host == NULL || (size_t)length != strlen(host)) {
        PyErr_Clear();
        return false;
    }
    if (!fio_addr_of_host(family, host, (uint16_t)port, out)) {
        return false;
    }
    if (family == AF_INET6) {
        out->as.in6.sin6_flowinfo = htonl(flow);
        out->as.in6.sin6_scope_id = scope;
    }
    return true;
}

bool
fio_addr_of_path(PyObject *path, fio_any_addr *out)
{
    PyObject *bytes = NULL;
    if (PyUnicode_CheckExact(path)) {
        bytes = PyUnicode_EncodeFSDefault(path);
    }
    else if (PyBytes_CheckExact(path)) {
        bytes = Py_NewRef(path);
    }
    if (bytes == NULL) {
        PyErr_Clear();
        return false;
    }
    struct sockaddr_un *addr = (struct sockaddr_un *)&out->as;
    const size_t size = (size_t)PyBytes_GET_SIZE(bytes);
    const bool fits = size < sizeof(addr->sun_path);
    if (fits) {
        addr->sun_family = AF_UNIX;
        memcpy(addr->sun_path, PyBytes_AS_STRING(bytes), size + 1);
        /* The NUL at the end counts, but not in Linux's abstract namespace. */
        const bool abstract = addr->sun_path[0] == '\0';
        out->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + !abstract);
    }
    Py_DECREF(bytes);
    return fits;
}

bool
fio_addr_keep(fio_addr *to, const fio_any_addr *from)
{
    if (from->size > sizeof(to->as)) {
        to->size = 0;
        return false;
    }
    to->size = from->size;
    memcpy(&to->as, &from->as, from->size);
    return true;
}

void
fio_addr_of_socket(int fd, fio_any_addr *out)
{
    out->size = sizeof(out->as);
    if (getsockname(fd, (struct sockaddr *)&out->as, &out->size) < 0) {
        out->size = 0;
    }
}

void
fio_addr_of_peer(int fd, fio_any_addr *out)
{
    out->size = sizeof(out->as);
    if (getpeername(fd, (struct sockaddr *)&out->as, &out->size) < 0) {
        out->size = 0;
    }
}
