#ifndef SLIPRING_PUBLISHERS_HOST_TEXT_H
#define SLIPRING_PUBLISHERS_HOST_TEXT_H

/*
 * Reading what the kernel writes: lines of words, decimal numbers, counters.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * text_unsigned() - read the next number of a line
 * @cursor:     moved behind it; blanks before it are skipped, the end of the line is not
 *
 * A number above 64 bits becomes the largest. Return: false if there is none, and nothing moves.
 */
bool text_unsigned(const char **cursor, uint64_t *ret_number);

/*
 * text_numbers() - read as many numbers as there are
 *
 * Return: how many were read, at most @capacity. The rest are set to 0.
 */
size_t text_numbers(const char **cursor, uint64_t *ret_numbers, size_t capacity);

/*
 * text_number() - a text that is one number, with a sign or not, and at most blanks after it
 */
bool text_number(const char *text, int64_t *ret_number);

/*
 * text_line() - where a line that begins with a word goes on behind it
 * @word:       with what ends it, as in "MemTotal:"
 *
 * Return: NULL if no line does.
 */
const char *text_line(const char *text, const char *word);

/*
 * text_next_line() - the line after this one
 *
 * Return: NULL behind the last one.
 */
const char *text_next_line(const char *text);

/*
 * text_to_name() - put a word into a fixed array of a message
 *
 * Takes the text up to the end of its line, as much as fits, without blanks at its end; what is
 * not printable ASCII becomes '?'. The rest of the array is zeros.
 */
void text_to_name(uint8_t *name, size_t size, const char *text);

/*
 * counter_delta() - how far a counter went
 *
 * A counter that goes backwards was either one of 32 bits that wrapped, when it was near its end
 * and now is near its start, or was set back (a driver loaded again, a core plugged in): 0 then,
 * since nobody knows.
 */
uint64_t counter_delta(uint64_t before, uint64_t after);

#endif
