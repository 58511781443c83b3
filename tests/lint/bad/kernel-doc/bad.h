#include <stdint.h>

int slipring_bare(void);

/**
 * slipring_short() - less than it should say
 * @one:        the first
 * @three:      not there
 */
int slipring_short(int one, const char *two);

/**
 * slipring_other() - under another name
 *
 * Return: 0.
 * Context: Never mind.
 */
int slipring_named(void);

/**
 * slipring_hidden() - whose context is inside a line
 * @array:      some
 *
 * Return: 0. Context: RT-safe.
 */
static inline int slipring_hidden(const int array[2]) {
        return array[0];
}

/**
 * struct slipring_pair - two things
 * @first:      one of them
 */
struct slipring_pair {
        uint32_t first;
        uint32_t second[4];
};
