#ifndef SLIPRING_CLI_CANVAS_H
#define SLIPRING_CLI_CANVAS_H

/*
 * Lines made of characters: of braille, which has 2 x 4 dots in each, or of one sign each.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** What one canvas can tell apart. */
#define CANVAS_PENS 6u

/**
 * struct canvas - a field of characters; canvas_free() ends it
 * @columns:    its width in characters
 * @rows:       its height in characters
 * @plain:      signs of ASCII instead of braille
 * @dots:       of each character, row by row: which dots are set
 * @pens:       and whose was the last one
 */
struct canvas {
        unsigned columns;
        unsigned rows;
        bool plain;
        uint8_t *dots;
        uint8_t *pens;
};

/**
 * canvas_start() - an empty canvas, in the memory of the last one if that is large enough
 *
 * Return: false if there is no memory.
 */
bool canvas_start(struct canvas *canvas, unsigned columns, unsigned rows, bool plain);

/**
 * canvas_line() - draw a line
 * @pen:        below CANVAS_PENS
 * @x0, @y0:    from; 0 to 1 are the canvas, from its left lower corner; what lies outside is left
 * out
 * @x1, @y1:    to
 */
void canvas_line(struct canvas *canvas, unsigned pen, double x0, double y0, double x1, double y1);

/** canvas_row() - print a row, without newline, from the top; @colour: in the pens' colours */
void canvas_row(const struct canvas *canvas, unsigned row, bool colour, FILE *out);

/** canvas_sign() - print the sign of a pen, as the legend has it */
void canvas_sign(const struct canvas *canvas, unsigned pen, bool colour, FILE *out);

void canvas_free(struct canvas *canvas);

#endif
