#ifndef FIO_BASE_ADDR_H
#define FIO_BASE_ADDR_H

#include "base/base.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* A socket address as the kernel gave it, kept by each connection until somebody asks for it. Holds
 * what nearly all have (IPv4, IPv6, an unnamed Unix socket); a longer one is made an object at once
 * instead. */
typedef struct {
    socklen_t size; /* bytes in `as`; 0: no address */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } as;
} fio_addr;

/* Large enough for the address of any family. */
typedef struct {
    socklen_t size;
    struct sockaddr_storage as;
} fio_any_addr;

/* The address as the socket module gives it: (host, port), (host, port, flowinfo, scope_id), a
 * path, or bytes for the abstract Unix namespace; None where there is none. */
FIO_MUST_CHECK PyObject *fio_addr_to_python(const struct sockaddr *addr, socklen_t size);

/* The kernel's form of an IPv4 or IPv6 host as inet_pton(3) takes it; false for all else. */
bool fio_addr_of_host(int family, const char *host, uint16_t port, fio_addr *out);

/* The kernel's form of (numeric host, port), in AF_INET6 also of (..., flowinfo, scope_id). False,
 * with no exception set, for all else: names, odd types and values, other families than these two.
 */
bool fio_addr_of_numeric(int family, PyObject *address, fio_addr *out);

/* The same for the path of a Unix socket, as str or bytes. */
bool fio_addr_of_path(PyObject *path, fio_any_addr *out);

/* Copies `from` if it is small enough; false when it is not. */
bool fio_addr_keep(fio_addr *to, const fio_any_addr *from);

/* getsockname(2) and getpeername(2); no address is size 0. */
void fio_addr_of_socket(int fd, fio_any_addr *out);
void fio_addr_of_peer(int fd, fio_any_addr *out);

/* _core.numeric_address(). */
FIO_MUST_CHECK int fio_addr_setup_functions(PyObject *module);

#endif
