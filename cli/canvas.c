#include "cli/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char signs[CANVAS_PENS] = {'*', '+', 'o', 'x', '#', '@'};
static const unsigned colours[CANVAS_PENS] = {34, 33, 32, 35, 36, 31};

bool canvas_start(struct canvas *canvas, unsigned columns, unsigned rows, bool plain) {
        size_t size = (size_t) columns * rows;

        if (size > (size_t) canvas->columns * canvas->rows) {
                canvas_free(canvas);
                canvas->dots = malloc(size);
                canvas->pens = malloc(size);
                if (!canvas->dots || !canvas->pens) {
                        canvas_free(canvas);
                        return false;
                }
        }
        canvas->columns = columns;
        canvas->rows = rows;
        canvas->plain = plain;
        memset(canvas->dots, 0, size);
        memset(canvas->pens, 0, size);
        return true;
}

/* Unicode numbers the dots of braille so: the lowest row came later. */
static uint8_t dot(unsigned x, unsigned y) {
        static const uint8_t dots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

        return dots[y % 4][x % 2];
}

static void set(struct canvas *canvas, unsigned pen, double x, double y) {
        unsigned wide = canvas->plain ? 1 : 2, high = canvas->plain ? 1 : 4;
        unsigned column, row;
        size_t at;

        if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) {
                return;
        }
        column = (unsigned) lround(x * (canvas->columns * wide - 1));
        row = (unsigned) lround((1 - y) * (canvas->rows * high - 1));
        at = (size_t) (row / high) * canvas->columns + column / wide;
        canvas->dots[at] |= canvas->plain ? 1 : dot(column, row);
        canvas->pens[at] = (uint8_t) pen;
}

void canvas_line(struct canvas *canvas, unsigned pen, double x0, double y0, double x1, double y1) {
        double across = fabs(x1 - x0) * canvas->columns * 2;
        double up = fabs(y1 - y0) * canvas->rows * 4;
        double steps = fmax(across, up);
        /* A line to far outside is drawn with gaps rather than for ever. */
        unsigned count = steps > 0 ? (unsigned) fmin(ceil(steps), 100000) : 0;

        for (unsigned i = 0; i <= count; i++) {
                double part = count ? (double) i / count : 0;

                set(canvas, pen, x0 * (1 - part) + x1 * part, y0 * (1 - part) + y1 * part);
        }
}

static void put(const struct canvas *canvas, uint8_t dots, unsigned pen, FILE *out) {
        if (!dots) {
                fputc(' ', out);
        } else if (canvas->plain) {
                fputc(signs[pen], out);
        } else {
                /* U+2800 and the dots, in UTF-8. */
                fprintf(out, "\xe2%c%c", 0xa0 | dots >> 6, 0x80 | (dots & 0x3f));
        }
}

static void
put_coloured(const struct canvas *canvas, uint8_t dots, unsigned pen, bool colour, FILE *out) {
        if (colour && dots) {
                fprintf(out, "\033[%um", colours[pen]);
        }
        put(canvas, dots, pen, out);
        if (colour && dots) {
                fputs("\033[0m", out);
        }
}

void canvas_row(const struct canvas *canvas, unsigned row, bool colour, FILE *out) {
        for (unsigned column = 0; column < canvas->columns; column++) {
                size_t at = (size_t) row * canvas->columns + column;

                put_coloured(canvas, canvas->dots[at], canvas->pens[at], colour, out);
        }
}

void canvas_sign(const struct canvas *canvas, unsigned pen, bool colour, FILE *out) {
        put_coloured(canvas, 0x24, pen, colour, out);
}

void canvas_free(struct canvas *canvas) {
        free(canvas->dots);
        free(canvas->pens);
        *canvas = (struct canvas){0};
}
