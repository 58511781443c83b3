#ifndef SLIPRING_SCHEMA_DIAGNOSTICS_H
#define SLIPRING_SCHEMA_DIAGNOSTICS_H

/*
 * What is wrong with a file, as a list.
 *
 * The loader only collects: commands print the list, the manager writes it to the journal. A
 * diagnostic reads
 *
 *     rover.yaml:7:11: error: topic 'imu' is already defined on line 3
 *         imu: {type: Imu}
 *         ^
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** More than this many are not kept: whoever made that many mistakes wants to see the first. */
#define DIAGNOSTICS_MAX 100

/**
 * enum diagnostic_severity - does the file work nevertheless?
 */
enum diagnostic_severity {
        DIAGNOSTIC_ERROR,
        DIAGNOSTIC_WARNING,
};

/**
 * struct diagnostic - one mistake
 * @severity:   one of enum diagnostic_severity
 * @line:       from 1; 0 where the mistake has no place in the file
 * @column:     from 1, in characters
 * @message:    one sentence without a full stop, of visible characters only
 * @source:     the line of the file (or the part around @column of a long one), NULL where none
 * @caret:      column of the mistake within @source, from 0
 * @order:      which was found first: the order of those at one place
 * @file:       the file, NULL for the one that the list is about
 */
struct diagnostic {
        enum diagnostic_severity severity;
        uint32_t line;
        uint32_t column;
        char *message;
        char *source;
        uint32_t caret;
        uint32_t order;
        char *file;
};

/**
 * struct diagnostics - all mistakes of one file; all zeros is an empty list
 * @name:       the file's name as the user gave it
 * @items:      the list, in the order of the file once diagnostics_finish() was called
 * @count:      its length
 * @errors:     how many of all that were found are errors, those not kept included
 * @dropped:    how many were not kept
 * @failed:     there was no memory for one
 */
struct diagnostics {
        char *name;
        struct diagnostic *items;
        size_t count;
        size_t errors;
        size_t dropped;
        bool failed;
};

/**
 * diagnostics_add() - report a mistake
 * @diagnostics:        list
 * @severity:           error or warning
 * @line:               from 1, or 0
 * @column:             from 1, or 0
 * @format:             as in printf(3); what is not visible text is replaced by question marks
 */
void diagnostics_add(struct diagnostics *diagnostics,
                     enum diagnostic_severity severity,
                     uint32_t line,
                     uint32_t column,
                     const char *format,
                     ...) __attribute__((format(printf, 5, 6)));

/**
 * diagnostics_full() - is there no room for another one?
 * @diagnostics:        list
 *
 * Return: true if whoever looks for more mistakes, or for a good explanation, may stop.
 */
bool diagnostics_full(const struct diagnostics *diagnostics);

/**
 * diagnostics_finish() - put the list in the order of the file and add the source lines
 * @diagnostics:        list
 * @text:               the file, NULL if it could not be read
 * @bytes:              its size
 */
void diagnostics_finish(struct diagnostics *diagnostics, const char *text, size_t bytes);

/**
 * diagnostics_absorb() - add what is wrong with another file that the first one leads to
 * @diagnostics:        list
 * @other:              list about that file, which diagnostics_finish() was called for; empty
 *                      afterwards
 */
void diagnostics_absorb(struct diagnostics *diagnostics, struct diagnostics *other);

/**
 * diagnostics_file() - the file that a diagnostic is about
 * @diagnostics:        list
 * @item:               one of its diagnostics
 */
const char *diagnostics_file(const struct diagnostics *diagnostics, const struct diagnostic *item);

/**
 * diagnostics_print() - print the list for a person
 * @diagnostics:        list
 * @out:                where to
 * @colour:             with terminal colours
 */
void diagnostics_print(const struct diagnostics *diagnostics, FILE *out, bool colour);

/**
 * diagnostics_clear() - free the list; it is empty afterwards
 * @diagnostics:        list
 */
void diagnostics_clear(struct diagnostics *diagnostics);

#endif
