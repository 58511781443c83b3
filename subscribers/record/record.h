#ifndef SLIPRING_SUBSCRIBERS_RECORD_RECORD_H
#define SLIPRING_SUBSCRIBERS_RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>

#include "mcap/codec.h"

/*
 * A recorder: topics of a bus into an MCAP file.
 *
 * It reads the rings by the clock and sleeps on no topic, so no publisher ever calls the kernel for
 * it. A sample goes from its slot into the chunk of the file in one copy; one that was overwritten
 * meanwhile is taken back and counted as missed.
 *
 * A file is called NAME.mcap.active until it is whole, and is locked (flock(2)) as long as somebody
 * writes it.
 */

/* What the name of a file ends in, and what follows until it is whole. */
#define RECORD_SUFFIX ".mcap"
#define RECORD_ACTIVE ".active"

/* record_ends_in() - does the name of a file end in this, behind something else? */
bool record_ends_in(const char *name, const char *ending);

struct slipring_type;

/* A topic by its name, over all segments that it had. */
struct record_topic {
        char *name;
        char *type_name; /* of the newest one */
        uint64_t samples;
        uint64_t missed;
        bool unreadable; /* why was noted */
};

struct record_state {
        const struct record_topic *topics; /* in the order in which they came */
        size_t topic_count;
        const char *const *files; /* whole or being written, in their order */
        size_t file_count;
        uint64_t samples;
        uint64_t missed;
        uint64_t lost;  /* of @samples, that the disk had no room for */
        uint64_t bytes; /* of all files, and what waits to be written */
        uint64_t elapsed_ns;
};

struct record_options {
        const char *bus;  /* "USER/BUS" */
        const char *name; /* of the file, without ".mcap" */
        enum mcap_compression compression;
        uint64_t split_ns;    /* a new file after so long, 0: never */
        uint64_t split_bytes; /* or once one is about this large, 0: never */
        uint64_t since_ns;    /* begin so long ago, as far as the rings reach; 0: now */
        uint64_t duration_ns; /* stop by itself after so long, 0: never */

        bool (*wanted)(void *userdata, const char *topic);
        /* What a file says of a type besides its text: key, value, ..., NULL, until the next call;
         * or NULL. What is computed from a text of ROS's is no matter of a recorder. */
        const char *const *(*describe)(void *userdata, const struct slipring_type *type);
        bool (*stopped)(void);                          /* looked at ten times a second, at least */
        void (*note)(void *userdata, const char *text); /* a line for the operator */
        /* Once a second, and at the end. */
        void (*progress)(void *userdata, const struct record_state *state, bool last);
        void *userdata;
};

/*
 * record_run() - record until stopped
 * @reterr:     set on failure; what was written until then is whole unless it says otherwise
 *
 * Topics that come are recorded from their first sample, those that are replaced go on with their
 * successors, and a bus that is taken down is waited for. With a split, files are called NAME_0,
 * NAME_1 and so on; a number that is taken is passed over.
 *
 * Who limits the size of files (RLIMIT_FSIZE) has to ignore SIGXFSZ.
 *
 * Return: 0 once options->stopped() said so, or after options->duration_ns; -EEXIST: there is such
 * a file; -ENOSPC, -EFBIG, -EDQUOT: the disk is full; another errno of the file; -ENOMEM; else as
 * directory_locate().
 */
int record_run(const struct record_options *options, struct slipring_error *reterr);

/*
 * record_recover() - make whole what killed recorders left in a directory
 * @directory:  "": the working directory; else with a slash at its end
 * @note:       told of each file, recovered or not
 *
 * Looks at this user's files that end in ".mcap.active" and that nobody writes. One goes away once
 * all that is whole in it stands in a file without that ending, which must not exist before.
 */
void record_recover(const char *directory,
                    void (*note)(void *userdata, const char *text),
                    void *userdata);

#endif
