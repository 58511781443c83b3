#ifndef SLIPRING_SCHEMA_VALUE_H
#define SLIPRING_SCHEMA_VALUE_H

/*
 * Numbers as people write them into a schema, read without losing a digit.
 */

#include <stdbool.h>
#include <stdint.h>

/**
 * value_integer() - read an integer
 * @text:               "-12", "0x1f"
 * @ret_negative:       set on success: below zero
 * @ret_magnitude:      set on success: absolute value
 *
 * Return: 0 on success, -EINVAL if it is not an integer (or begins with 0, which some take for
 *         octal), -ERANGE if the magnitude exceeds 64 bits.
 */
int value_integer(const char *text, bool *ret_negative, uint64_t *ret_magnitude);

/**
 * value_real() - read a number
 * @text:       "-0.5", "1e-3"
 * @ret_real:   set on success
 *
 * Return: 0 on success, -EINVAL if it is not a number, -ERANGE if a double cannot hold it.
 */
int value_real(const char *text, double *ret_real);

/**
 * value_duration() - read a span of time
 * @text:       number and unit: "300 ms", "1.5s"; units ns, us, ms, s, min, h
 * @ret_ns:     set on success, at least 1
 *
 * Return: 0 on success, -EINVAL if it is not a number and a word, -ENOTUNIQ if the unit is
 *         missing, -ENOENT if it is not known, -EDOM if the number is zero or negative, -ERANGE if
 *         it is above 1,000,000,000 s or finer than a nanosecond.
 */
int value_duration(const char *text, uint64_t *ret_ns);

/**
 * value_rate() - read a frequency
 * @text:       number and unit: "200 Hz", "1kHz"; units mHz, Hz, kHz
 * @ret_uhz:    set on success, in millionths of a hertz
 *
 * Return: as value_duration(); -ERANGE is below 1 mHz, above 1 MHz or finer than a millionth.
 */
int value_rate(const char *text, uint64_t *ret_uhz);

/**
 * value_mode() - read permission bits
 * @text:       "0640"
 * @ret_mode:   set on success
 *
 * Return: NULL on success, else why a topic cannot have this mode.
 */
const char *value_mode(const char *text, uint32_t *ret_mode);

#endif
