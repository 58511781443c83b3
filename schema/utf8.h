#ifndef SLIPRING_SCHEMA_UTF8_H
#define SLIPRING_SCHEMA_UTF8_H

/*
 * UTF-8, and what of it may be shown to a person.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * utf8_decode() - read one character
 * @text:               bytes
 * @bytes:              how many there are, at least 1
 * @ret_character:      set to the code point on success
 *
 * Return: the length of the character's encoding in bytes, 0 if it is not UTF-8 (cut short, longer
 *         than needed, a surrogate or above U+10FFFF).
 */
size_t utf8_decode(const char *text, size_t bytes, uint32_t *ret_character);

/**
 * utf8_is_visible() - may a character go to a terminal or into source code?
 * @character:  code point
 *
 * Return: false for control characters and for those that change the direction of text and so
 *         make a line look like another one.
 */
bool utf8_is_visible(uint32_t character);

/**
 * utf8_sanitize() - replace everything that is not visible by question marks, in place
 * @text:       NUL-terminated text; never grows
 */
void utf8_sanitize(char *text);

/**
 * utf8_print() - write text that may be anything, with question marks for what is not visible
 * @out:        stream
 * @text:       NUL-terminated text
 * @kept:       characters of ASCII that stay though they are not visible: "\n"
 */
void utf8_print(FILE *out, const char *text, const char *kept);

#endif
