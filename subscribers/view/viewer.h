#ifndef SLIPRING_SUBSCRIBERS_VIEW_VIEWER_H
#define SLIPRING_SUBSCRIBERS_VIEW_VIEWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>

/*
 * A bus for viewers: a server of the Foxglove WebSocket protocol, version 1. One thread, one event
 * loop. Samples go from their slot into the buffer of the socket in one copy.
 */
struct viewer_options {
        const char *bus;     /* "USER/BUS" */
        const char *address; /* to listen on, of IPv6 with or without []; NULL for 127.0.0.1 */
        uint16_t port;       /* 0: a free one */
        double max_rate_hz;  /* most samples a second of a topic to a client */
        bool every;          /* every sample instead */
        const char
                *origins; /* allowed besides local ones, separated by commas; "*": all; or NULL */

        bool (*stopped)(void); /* looked at twice a second, at least */
        /* Clients may connect: those of this machine to url, "ws://...", those of other machines to
         * one of others, which are there only if it listens on all addresses. */
        void (*ready)(void *userdata, const char *url, const char *const *others, size_t count);
        void (*note)(void *userdata, const char *text); /* a line for the operator */
        void *userdata;
};

/*
 * viewer_run() - serve until stopped; the only function that the module shows
 *
 * Return: 0 once options->stopped() said so, -EADDRINUSE if the port is taken, -EADDRNOTAVAIL or
 * -EINVAL if the address is none of this machine's, -EACCES for a port that this user may not
 * take, -ENOMEM, -EMFILE, else as directory_locate().
 */
#define VIEWER_MODULE "libslipring-view.so"
typedef int (*viewer_run_t)(const struct viewer_options *options, struct slipring_error *reterr);
__attribute__((visibility("default"))) int viewer_run(const struct viewer_options *options,
                                                      struct slipring_error *reterr);

#endif
