#ifndef SLIPRING_CLI_DOCTOR_H
#define SLIPRING_CLI_DOCTOR_H

/*
 * `slipring doctor`: findings about this machine and its buses, each with its remedy.
 */

#include "cli/cli.h"

enum doctor_level {
        DOCTOR_OK,
        DOCTOR_NOTE,    /* works, but worth knowing */
        DOCTOR_PROBLEM, /* something is wrong: the command exits with 1 */
};

struct doctor_finding {
        enum doctor_level level;
        char *subject;
        char *text;
        const char *remedy; /* NULL where there is nothing to do */
};

struct doctor {
        struct cli *cli;
        struct doctor_finding *findings;
        size_t count;
        size_t problems;
        bool failed; /* out of memory */
};

/**
 * doctor_find() - record a finding
 * @level:      how bad
 * @subject:    what it is about
 * @remedy:     what to do; kept, so a literal; NULL for nothing
 * @format:     what was found
 */
void doctor_find(struct doctor *doctor,
                 enum doctor_level level,
                 const char *subject,
                 const char *remedy,
                 const char *format,
                 ...) __attribute__((format(printf, 5, 6)));

/** doctor_machine() - kernel, limits, clock, users */
void doctor_machine(struct doctor *doctor);

/** doctor_buses() - the bus that --bus or SLIPRING_BUS names, else all that can be read */
void doctor_buses(struct doctor *doctor);

#endif
