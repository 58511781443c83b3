#ifndef SLIPRING_CLI_SCREEN_H
#define SLIPRING_CLI_SCREEN_H

/*
 * A terminal that a verb has for itself: another screen, no echo, keys as they are pressed.
 *
 * What was there before comes back however the verb ends: it asks live_stopped(), and a stop
 * (Ctrl-Z) is caught, too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/keys.h"

/** screen_possible() - is standard output a terminal that knows where its cursor is? */
bool screen_possible(void);

/** screen_enter() - take the terminal */
void screen_enter(void);

/** screen_leave() - give it back; without effect if it was not taken */
void screen_leave(void);

/** screen_size() - columns and rows as they are now */
void screen_size(unsigned *ret_columns, unsigned *ret_rows);

/**
 * screen_wait() - sleep until a key is pressed, the window changes or time is up
 * @deadline_ns:        absolute CLOCK_MONOTONIC time
 * @ret_redraw:         set to whether the window changed or the terminal was taken again
 *
 * Return: the key, KEYS_NONE if none was pressed. Without a terminal it only sleeps.
 */
int screen_wait(uint64_t deadline_ns, bool *ret_redraw);

#endif
