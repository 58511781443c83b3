#include "schema/suggest.h"

#include <string.h>

#define WORD_MAX 64

static size_t minimum(size_t a, size_t b) {
        return a < b ? a : b;
}

/* Mistakes between two short words: Levenshtein's distance with transpositions. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length) {
        size_t rows[3][WORD_MAX + 1];
        size_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;

        for (size_t j = 0; j <= b_length; j++) {
                above[j] = j;
                before[j] = 0;
        }
        for (size_t i = 1; i <= a_length; i++) {
                row[0] = i;
                for (size_t j = 1; j <= b_length; j++) {
                        row[j] = minimum(above[j - 1] + (a[i - 1] != b[j - 1]),
                                         minimum(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                                row[j] = minimum(row[j], before[j - 2] + 1);
                        }
                }
                spare = before;
                before = above;
                above = row;
                row = spare;
        }
        return above[b_length];
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate) {
        size_t length = strlen(suggestion->word), other = strlen(candidate);
        size_t allowed = length / 3 ? length / 3 : 1, found;

        if (length > WORD_MAX || other > WORD_MAX ||
            (length > other ? length - other : other - length) > allowed) {
                return;
        }
        found = distance(suggestion->word, length, candidate, other);
        if (found > allowed || found >= length ||
            (suggestion->best && found >= suggestion->distance)) {
                return;
        }
        suggestion->best = candidate;
        suggestion->distance = found;
}
