/* Socket addresses between the kernel and Python, in the shapes of the socket module. */

#include "net/addr.h"

#include <arpa/inet.h>
#include <sys/un.h>

static PyObject *
addr_of_ipv4(const struct sockaddr_in *addr)
{
    char host[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &addr->sin_addr, host, sizeof(host)) == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("si", host, (int)ntohs(addr->sin_port));
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
