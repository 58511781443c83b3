/*
 * The socket that listens, and by which addresses it is found. An address for all is none that a
 * browser can be told everywhere: this machine's own is, and for others each that it has.
 */

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "bus/error.h"
#include "subscribers/view/server.h"

#define URL_BYTES 80
/* A machine with containers has many; the first ones are its own. */
#define OTHERS_MAX 8

static int report_bind(const struct viewer_options *options,
                       const char *address,
                       int r,
                       struct slipring_error *reterr) {
        if (r == -EADDRINUSE) {
                return error_set(reterr, r,
                                 "port %u of %s is taken, by another slipring view perhaps "
                                 "('ss -ltnp sport = :%u' says by whom); choose another one with "
                                 "--port, or a free one with --port 0",
                                 options->port, address, options->port);
        }
        if (r == -EADDRNOTAVAIL) {
                return error_set(reterr, r,
                                 "cannot listen on %s: this machine has no such address ('ip "
                                 "address' lists those that it has); give one of them, or 0.0.0.0 "
                                 "for all",
                                 address);
        }
        return error_set(reterr, r, "cannot listen on %s, port %u: %s%s", address, options->port,
                         strerror(-r), r == -EACCES ? "; ports from 1024 on are everybody's" : "");
}

static int bind_to(struct server *server, const struct addrinfo *where) {
        socklen_t bytes = sizeof(server->bound);
        int one = 1, fd, r;

        fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
                return -errno;
        }
        /* Connections of the server before this one may still be ending. */
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, 128) < 0 ||
            getsockname(fd, (struct sockaddr *) &server->bound, &bytes) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        server->listen_fd = fd;
        return 0;
}

int listen_start(struct server *server, struct slipring_error *reterr) {
        const struct viewer_options *options = server->options;
        const char *address = options->address ? options->address : "127.0.0.1";
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                       .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
        struct addrinfo *found = NULL;
        size_t length = strlen(address);
        char port[8], host[NI_MAXHOST];
        bool brackets = length > 2 && address[0] == '[' && address[length - 1] == ']';
        int r;

        /* As it stands in an address of the web. */
        snprintf(host, sizeof(host), "%.*s", (int) (brackets ? length - 2 : length),
                 address + brackets);
        snprintf(port, sizeof(port), "%u", options->port);
        r = getaddrinfo(host, port, &hints, &found);
        if (r != 0) {
                return error_set(reterr, -EINVAL,
                                 "cannot listen on '%s': %s; give an address of this machine, or "
                                 "0.0.0.0 for all",
                                 address, gai_strerror(r));
        }
        r = bind_to(server, found);
        freeaddrinfo(found);
        return r < 0 ? report_bind(options, address, r, reterr) : 0;
}

/*
 * By which addresses it is found
 */

static bool is_all(const struct sockaddr_storage *bound) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) bound;
        const struct sockaddr_in *four = (const struct sockaddr_in *) bound;

        return bound->ss_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)
                                            : four->sin_addr.s_addr == htonl(INADDR_ANY);
}

static void url_of(char url[URL_BYTES], const struct sockaddr *address, in_port_t port) {
        bool six = address->sa_family == AF_INET6;
        char host[64] = "";

        (void) getnameinfo(address, six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
                           host, sizeof(host), NULL, 0, NI_NUMERICHOST);
        snprintf(url, URL_BYTES, six ? "ws://[%s]:%u" : "ws://%s:%u", host, ntohs(port));
}

/* One that a browser of another machine can be told: a link's own needs the name of the interface,
 * which is another one there. */
static bool is_for_others(const struct ifaddrs *interface, bool six_too, bool four_too) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) interface->ifa_addr;

        if (!interface->ifa_addr || !(interface->ifa_flags & IFF_UP) ||
            interface->ifa_flags & IFF_LOOPBACK) {
                return false;
        }
        return (interface->ifa_addr->sa_family == AF_INET && four_too) ||
               (interface->ifa_addr->sa_family == AF_INET6 && six_too &&
                !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr));
}

void listen_tell(const struct server *server) {
        const struct sockaddr_storage *bound = &server->bound;
        /* At the same place in both. */
        in_port_t port = ((const struct sockaddr_in *) bound)->sin_port;
        bool six = bound->ss_family == AF_INET6, four = !six;
        char url[URL_BYTES], urls[OTHERS_MAX][URL_BYTES];
        const char *others[OTHERS_MAX];
        struct ifaddrs *interfaces = NULL;
        socklen_t bytes = sizeof(int);
        int only_six = 0;
        size_t count = 0;

        if (!is_all(bound)) {
                url_of(url, (const struct sockaddr *) bound, port);
                server->options->ready(server->options->userdata, url, NULL, 0);
                return;
        }
        if (six &&
            getsockopt(server->listen_fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_six, &bytes) == 0) {
                four = !only_six;
        }
        snprintf(url, sizeof(url), four ? "ws://127.0.0.1:%u" : "ws://[::1]:%u", ntohs(port));
        if (getifaddrs(&interfaces) < 0) {
                interfaces = NULL;
        }
        for (const struct ifaddrs *i = interfaces; i && count < OTHERS_MAX; i = i->ifa_next) {
                if (is_for_others(i, six, four)) {
                        url_of(urls[count], i->ifa_addr, port);
                        others[count] = urls[count];
                        count++;
                }
        }
        if (interfaces) {
                freeifaddrs(interfaces);
        }
        server->options->ready(server->options->userdata, url, others, count);
}
