#ifndef SLIPRING_SCHEMA_SUGGEST_H
#define SLIPRING_SCHEMA_SUGGEST_H

/*
 * "Did you mean ...?"
 *
 *     struct suggestion suggestion = {.word = word};
 *     for each candidate
 *             suggestion_offer(&suggestion, candidate);
 *     if (suggestion.best) ...
 */

#include <stddef.h>

/**
 * struct suggestion - a search for what somebody meant
 * @word:       what was written
 * @best:       the candidate nearest to it, NULL while none is near enough
 * @distance:   mistakes between the two
 */
struct suggestion {
        const char *word;
        const char *best;
        size_t distance;
};

/**
 * suggestion_offer() - compare with a candidate
 * @suggestion: search; the first of several equally near candidates stays
 * @candidate:  something that exists; must live as long as the search
 *
 * A missing, an added or a wrong letter and two swapped neighbours are one mistake each, and a word
 * may have one for each three letters.
 */
void suggestion_offer(struct suggestion *suggestion, const char *candidate);

#endif
