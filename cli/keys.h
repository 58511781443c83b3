#ifndef SLIPRING_CLI_KEYS_H
#define SLIPRING_CLI_KEYS_H

/*
 * Keys as they are pressed, from the terminal that standard input is.
 */

#include <stdbool.h>
#include <stdint.h>

/** Keys that are not characters. */
enum {
        KEYS_NONE = 0,
        KEYS_UP = 256,
        KEYS_DOWN,
        KEYS_RIGHT,
        KEYS_PAGE_UP,
        KEYS_PAGE_DOWN,
};

/**
 * keys_take() - have the terminal give keys at once, without showing them
 *
 * Ctrl-C and Ctrl-Z stay signals. Safe in a signal handler.
 *
 * Return: true; false if standard input is no terminal, or one that others have now: in the
 *         background it is not ours to change.
 */
bool keys_take(void);

/** keys_give_back() - the terminal as it was; without effect if it was not taken; as safe */
void keys_give_back(void);

/** keys_taken() - is it ours? */
bool keys_taken(void);

/**
 * keys_guard() - give the terminal back whatever ends this process, or stops it
 *
 * For verbs that print lines, and do nothing about stops (Ctrl-Z) themselves: the terminal is given
 * back before one, and taken again where the process goes on in the foreground. To be called after
 * live_start(), whose signals end a verb in order.
 */
void keys_guard(void);

/** keys_stopped_ns() - for how long stops have kept a guarded process, all together */
uint64_t keys_stopped_ns(void);

/**
 * keys_read() - the next key, at once
 *
 * Return: the key; KEYS_NONE if none was pressed, or the terminal is not ours.
 */
int keys_read(void);

#endif
