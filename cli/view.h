#ifndef SLIPRING_CLI_VIEW_H
#define SLIPRING_CLI_VIEW_H

/*
 * The bus that a verb works on, and its topics.
 */

#include <slipring/subscriber.h>

#include "bus/directory.h"
#include "cli/cli.h"
#include "subscribers/selection.h"

/**
 * struct view - a bus and its newest table
 * @directory:  attached
 * @table:      as last read
 * @bus:        "USER/BUS", which finds the same one again
 * @topics:     those that serve, by name
 * @count:      how many
 */
struct view {
        struct directory directory;
        struct directory_table table;
        char bus[160];
        const struct layout_entry **topics;
        size_t count;
};

/** For a struct view that view_close() may be called with. */
#define VIEW_NONE ((struct view){.directory = {.segment = SEGMENT_NONE}})

/**
 * view_open() - find the bus that --bus, SLIPRING_BUS or the machine names, and read its table
 * @cli:        run
 * @view:       a VIEW_NONE, filled
 *
 * Return: CLI_OK, or the exit code, with a message printed: usage where several buses could be
 *         meant or a name is malformed.
 */
int view_open(const struct cli *cli, struct view *view);

/**
 * view_attach() - the same for a bus that is attached already, which the view then owns
 * @reterr:     why not
 *
 * Return: 0, or as directory_read().
 */
int view_attach(struct view *view, struct directory *directory, struct slipring_error *reterr);

/**
 * view_refresh() - read the table again
 *
 * Return: 0, -EIDRM if the bus was taken down, else as directory_read().
 */
int view_refresh(struct view *view, struct slipring_error *reterr);

/** view_close() - let go of the bus */
void view_close(struct view *view);

/**
 * view_topic() - a topic's entry
 * @name:       its name; a slash before it, as ROS 2 writes names, is passed over
 *
 * Return: the entry, or NULL with a message printed that says which topic may have been meant.
 */
const struct layout_entry *
view_topic(const struct cli *cli, const struct view *view, const char *name);

/** view_topic_name() - without the slash that ROS 2 writes before a topic's name */
const char *view_topic_name(const char *name);

/** view_manager() - pid of the bus's manager, 0 where none runs */
pid_t view_manager(const struct view *view);

/** view_exit_code() - what to exit with after a library said this */
int view_exit_code(int r);

/** view_group() - a group's name; valid until the next call */
const char *view_group(gid_t gid);

/** view_process() - a process's name, "" where it cannot be told */
const char *view_process(char name[32], int32_t pid);

/** view_report_field() - print why a field was not found, and which may have been meant */
void view_report_field(const struct cli *cli,
                       const struct slipring_type *type,
                       const struct selection_failure *failure,
                       const struct slipring_error *error);

#endif
