#ifndef SLIPRING_PUBLISHERS_PLAY_PLAY_H
#define SLIPRING_PUBLISHERS_PLAY_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>

/*
 * A player: the messages of MCAP files onto a bus, at the distances in time that they had.
 */

struct play_counts {
        uint64_t published;
        /* Messages that came up and are none of their type, or of a topic that was lost. */
        uint64_t refused;
        uint64_t passes; /* through all files, begun */
        uint64_t late_max_ns;
        uint64_t elapsed_ns;
};

/* What somebody wants who plays along. */
struct play_wish {
        double rate; /* as in the options */
        bool paused;
        uint64_t steps; /* messages to publish while paused, since the start */
        /* For how long this process was stopped, since the start: no time of the file. */
        uint64_t stopped_ns;
};

struct mcap_catalogue;

struct play_options {
        const char *bus;          /* as in slipring_publisher_options */
        const char *path;         /* what messages call that which is played */
        const char *const *files; /* one or more, in any order: they are played as one */
        size_t file_count;
        double rate; /* 1: as recorded; 2: twice as fast */
        bool loop;
        uint64_t offset_ns; /* begin so long after the first message */

        /* Is all that was asked for by name in the files? Asked before anything else is done. NULL:
         * nothing was. */
        int (*check)(void *userdata,
                     const struct mcap_catalogue *catalogue,
                     struct slipring_error *reterr);
        bool (*wanted)(void *userdata, const char *topic); /* a topic of the files */
        /* The text of a type as a bus has it, from one that others wrote; NULL: it is none. To be
         * freed. */
        char *(*canonical)(void *userdata, const char *name, const char *text, size_t bytes);
        /* What it is called on the bus. */
        const char *(*rename)(void *userdata, const char *topic);
        /* A wanted channel whose topic is not on the bus, of another type there, another
         * publisher's or not for this user to publish to is an error, also if it becomes so
         * meanwhile; else it is left out, with a note, as long as there are others. */
        bool strict;
        bool named;            /* whoever made the bus said which topics are not on it */
        bool paused;           /* begin so */
        bool (*stopped)(void); /* looked at ten times a second, at least */
        /* As often: has what somebody wants changed? It is left as it is if not. NULL: nobody. */
        void (*ask)(void *userdata, struct play_wish *wish);
        void (*note)(void *userdata, const char *text); /* a line for the operator */
        void *userdata;
};

/*
 * play_run() - play files until their end, or until stopped
 * @ret_counts: set whatever happens
 *
 * Becomes the publisher of each topic first, and has looked at all files by then. Messages are due
 * at absolute times, so that one which was late delays none of the others. In a pause the time of
 * the file stands still; a change of the rate begins where it is. A message has to have the length
 * of its type (filler behind it is none of it), and booleans that are; others are left out.
 *
 * Return: 0; -ENOENT: no such file, or none of its topics can be played; -EPROTOTYPE: strict, and a
 * topic has another type than in the file, @reterr says which field differs; -EBADMSG: not an MCAP
 * file, or damaged, or every message was left out; else as @check, slipring_publisher_open() or
 * slipring_publisher_move(), or a read error.
 */
int play_run(const struct play_options *options,
             struct play_counts *ret_counts,
             struct slipring_error *reterr);

#endif
